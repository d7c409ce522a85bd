//! `lapwing explain`: how each rule is searched for, and what it costs.

use std::fmt::Write as _;
use std::process::ExitCode;

use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::language::reader::meant;
use lapwing_rules::language::rule::{ConditionSpec, Rule};
use lapwing_rules::matcher::Matcher;
use lapwing_rules::matcher::plan::Tier;

use super::rules_of;
use super::terminal::{Terminal, counted, print};
use crate::cli::Explain;
use crate::error::AgentError;

pub(super) fn run(args: &Explain, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let rules = rules_of(&args.rules, terminal)?;
    let ids: Vec<_> = match &args.rule {
        None => rules.iter().map(|(id, _)| id).collect(),
        Some(name) => {
            if let Some((id, _)) = rules.by_name(name) {
                vec![id]
            } else {
                let names = rules.iter().map(|(_, rule)| rule.name.as_str());
                let help = meant(name, names)
                    .map(|help| format!(": {help}"))
                    .unwrap_or_default();
                return Err(AgentError::Usage(format!(
                    "there is no rule `{name}`{help}"
                )));
            }
        }
    };
    let matcher = Matcher::new(&rules, &ids, &|_| false);
    let mut text = String::new();
    let (mut cheap, mut dear) = (0u64, 0u64);
    for plan in &matcher.plan().rules {
        match plan.tier {
            Tier::Literal { .. } => cheap += 1,
            Tier::EveryLine(_) => dear += 1,
        }
        explain(&mut text, rules.get(plan.rule), &plan.tier);
    }
    let texts = counted(matcher.plan().literals.len() as u64, "text");
    let found = if cheap == 1 { "is found" } else { "are found" };
    let asked = if dear == 1 { "is asked" } else { "are asked" };
    // Writing to a String cannot fail.
    writeln!(
        text,
        "{} {found} by {texts} in one search over each batch; {dear} {asked} on every line.",
        counted(cheap, "rule")
    )
    .ok();
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn explain(text: &mut String, rule: &Rule, tier: &Tier) {
    writeln!(text, "{}", rule.name).ok();
    writeln!(text, "  asked  {tier}").ok();
    let keys = [
        ("contains", rule.matching.contains.len()),
        ("regex", rule.matching.regex.len()),
        ("where", usize::from(rule.matching.condition.is_some())),
        (
            "not",
            rule.matching.not_contains.len() + rule.matching.not_regex.len(),
        ),
    ];
    let confirmed: Vec<String> = keys
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(key, count)| format!("{count} {key}"))
        .collect();
    let confirmed = if confirmed.is_empty() {
        "nothing: every line is a hit".to_owned()
    } else {
        confirmed.join(", ")
    };
    writeln!(text, "  then   {confirmed}").ok();
    let fires = match &rule.condition {
        ConditionSpec::Any => "on each hit".to_owned(),
        ConditionSpec::Frequency {
            num_events,
            timeframe,
        } => {
            format!("at {num_events} hits in {}", duration_text(*timeframe))
        }
    };
    let group = if rule.group_by.is_empty() {
        String::new()
    } else {
        format!(", for each {}", rule.group_by.join(", "))
    };
    writeln!(text, "  fires  {fires}{group}\n").ok();
}
