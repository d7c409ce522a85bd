//! `lapwing explain`: how each rule is searched for, and what it costs.

use std::fmt::Write as _;
use std::process::ExitCode;

use lapwing_rules::fields::Format;
use lapwing_rules::language::pattern::Pattern;
use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::language::reader::meant;
use lapwing_rules::language::rule::{ConditionSpec, Rule, RuleSet};
use lapwing_rules::matcher::plan::Tier;
use lapwing_rules::matcher::{Matcher, Setup};
use lapwing_rules::model::RuleId;

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
    let plans = plans(&rules, &ids);
    let mut text = String::new();
    for plan in &plans {
        explain(&mut text, rules.get(plan.rule), plan);
    }
    text.push_str(&summary(&plans));
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A rule's plan, and the format whose lines it is for, where that matters.
struct Explained {
    rule: RuleId,
    tier: Tier,
    format: Option<&'static str>,
}

/// What lines of these formats give; a `where` that asks for anything else is most likely meant for
/// JSON.
const ACCESS: &str = " vhost remote_addr remote_user time request method path query protocol status \
                      bytes referer user_agent ";
const ERRORS: &str = " time level pid tid cid message client server request subrequest upstream host \
                      referrer ";

/// How the lines are written, by the fields that a rule asks for.
fn likely_format(rule: &Rule) -> Option<&'static str> {
    let condition = rule.matching.condition.as_ref()?;
    let is_group = |name: &str| {
        let mut groups = rule.matching.regex.iter().flat_map(Pattern::names);
        groups.any(|group| group == name)
    };
    let names = condition.names();
    let mut asked = names
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !is_group(name));
    asked.clone().next()?;
    let has_all = |fields: &str| {
        asked
            .clone()
            .all(|name| fields.contains(&format!(" {name} ")))
    };
    if has_all(ACCESS) {
        Some("nginx")
    } else if has_all(ERRORS) {
        Some("nginx_error")
    } else {
        asked.next().map(|_| "json")
    }
}

/// What a rule with a `where` needs depends on how lines are written: it is explained for the format
/// that its fields are most likely of.
fn plans(rules: &RuleSet, ids: &[RuleId]) -> Vec<Explained> {
    let plan = |format: Option<&Format>| {
        let setup = Setup {
            format,
            ..Setup::default()
        };
        Matcher::new(rules, ids, &|_| false, &setup)
    };
    let plain = plan(None);
    let formats = ["nginx", "nginx_error", "json"];
    let by_format: Vec<(&'static str, Matcher)> = formats
        .into_iter()
        .filter_map(|name| Some((name, plan(Some(&Format::named(name)?)))))
        .collect();
    let explained = plain.plan().rules.iter().enumerate().map(|(index, found)| {
        let likely = likely_format(rules.get(found.rule));
        let better = by_format.iter().find_map(|(name, matcher)| {
            let plan = matcher.plan().rules.get(index)?;
            (Some(*name) == likely).then(|| (*name, plan.tier.clone()))
        });
        match better {
            Some((name, tier)) => Explained {
                rule: found.rule,
                tier,
                format: Some(name),
            },
            None => Explained {
                rule: found.rule,
                tier: found.tier.clone(),
                format: None,
            },
        }
    });
    explained.collect()
}

fn summary(plans: &[Explained]) -> String {
    let count = |is_it: &dyn Fn(&Tier) -> bool| {
        let found = plans.iter().filter(|plan| is_it(&plan.tier));
        found.count() as u64
    };
    let windows = count(&|tier| matches!(tier, Tier::Window { .. } | Tier::Never));
    let classes = count(&|tier| matches!(tier, Tier::Classes { .. }));
    let lines = count(&|tier| matches!(tier, Tier::Automaton(_) | Tier::EveryLine(_)));
    let mut text = format!(
        "{} {} found in one search over each batch of lines",
        counted(windows, "rule"),
        if windows == 1 { "is" } else { "are" }
    );
    // Writing to a String cannot fail.
    if classes > 0 {
        write!(text, ", {classes} by further passes over it").ok();
    }
    if lines > 0 {
        write!(text, ", {lines} by looking at every line").ok();
    }
    text.push_str(".\n");
    text
}

fn explain(text: &mut String, rule: &Rule, plan: &Explained) {
    let tier = &plan.tier;
    writeln!(text, "{}", rule.name).ok();
    match plan.format {
        Some(format) => writeln!(text, "  asked  {tier}, in {format} lines").ok(),
        None => writeln!(text, "  asked  {tier}").ok(),
    };
    writeln!(text, "  cost   {}: {}", tier.cost(), tier.search()).ok();
    if let Some(advice) = tier.advice() {
        writeln!(text, "  advice {advice}").ok();
    }
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
