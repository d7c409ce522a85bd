//! `lapwing man`: the manual pages, made of the command line itself and of the documents that the
//! repository holds, so that they cannot fall behind either.

mod roff;

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::terminal::print;
use crate::cli::{self, Cli, ManPage};
use crate::error::AgentError;

/// What there is to say of the program and does not stand in its `--help`.
const PROGRAM: &str = include_str!("lapwing.md");
const CONFIGURATION: &str = include_str!("../../../../docs/configuration.md");
const LANGUAGE: &str = include_str!("../../../../rules/LANGUAGE.md");

pub(super) fn run(args: &cli::Man) -> Result<ExitCode, AgentError> {
    let page = match args.page {
        ManPage::Lapwing => program().map_err(AgentError::io("cannot make the page"))?,
        ManPage::Configuration => {
            document("lapwing.yaml", "configuration of lapwing", CONFIGURATION)
        }
        ManPage::Rules => document("lapwing-rules", "the rule language of lapwing", LANGUAGE),
    };
    print(&page)?;
    Ok(ExitCode::SUCCESS)
}

/// A page of section 5.
fn document(name: &str, about: &str, markdown: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let (escaped, about) = (roff::escape(name), roff::escape(about));
    let see_also = "## See also\n\n**lapwing**(1), **lapwing.yaml**(5), **lapwing-rules**(5)\n";
    format!(
        ".TH \"{name}\" 5 \"\" \"lapwing {version}\" \"lapwing\"\n.SH NAME\n{escaped} \\- {about}\n.SH DESCRIPTION\n{}{}",
        roff::of(markdown),
        roff::of(see_also)
    )
}

/// lapwing(1): what clap knows, a section for each command, then what stands in `lapwing.md`.
fn program() -> std::io::Result<String> {
    let mut command = Cli::command();
    command.build();
    let page = Man::new(command.clone()).date("");
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    out.extend_from_slice(b".SH COMMANDS\n");
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        let title = roff::escape(&format!("lapwing {}", sub.get_name()));
        out.extend_from_slice(format!(".SS {title}\n").as_bytes());
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        out.extend_from_slice(format!("{}\n", roff::escape(&about)).as_bytes());
        let own = sub.clone().mut_args(|arg| {
            let is_everywhere = arg.is_global_set() || arg.get_id() == "help";
            arg.hide(is_everywhere)
        });
        let page = Man::new(own);
        let mut section = Vec::new();
        page.render_synopsis_section(&mut section)?;
        page.render_options_section(&mut section)?;
        let text = String::from_utf8_lossy(&section).into_owned();
        let lines = text.lines().map(|line| match line {
            ".SH SYNOPSIS" => ".PP",
            ".SH OPTIONS" => "",
            line => line,
        });
        for line in lines.filter(|line| !line.is_empty()) {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
    }
    out.extend_from_slice(roff::of(PROGRAM).as_bytes());
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_stands_in_the_manual() {
        let page = program().unwrap().replace("\\-", "-");
        let mut command = Cli::command();
        command.build();
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            assert!(page.contains(&format!(".SS lapwing {}\n", sub.get_name())));
            for arg in sub.get_arguments().filter(|arg| !arg.is_global_set()) {
                if let Some(long) = arg.get_long() {
                    assert!(page.contains(&format!("--{long}")), "--{long}");
                }
            }
        }
    }

    #[test]
    fn every_heading_of_the_documents_stands_in_their_pages() {
        for text in [CONFIGURATION, LANGUAGE] {
            let page = document("x", "y", text);
            for line in text.lines() {
                if let Some(heading) = line.strip_prefix("## ") {
                    let heading = format!(
                        ".SH {}\n",
                        roff::escape(&heading.to_uppercase().replace('`', ""))
                    );
                    assert!(page.contains(&heading), "{heading}");
                }
            }
        }
    }
}
