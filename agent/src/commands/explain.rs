//! `lapwing explain`: how each rule is searched for, and what it costs.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::fields::Format;
use lapwing_rules::language::pattern::Pattern;
use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::language::reader::meant;
use lapwing_rules::language::rule::{
    ConditionSpec, FireOn, Match, Reference, Rule, RuleSet, SpikeType,
};
use lapwing_rules::matcher::plan::Tier;
use lapwing_rules::matcher::{FieldUse, Matcher, Setup};
use lapwing_rules::model::{Part, RuleId};
use lapwing_rules::scanner::parts;

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
    for of_rule in plans.chunk_by(|a, b| a.rule == b.rule) {
        if let Some(first) = of_rule.first() {
            explain(&mut text, rules.get(first.rule), of_rule);
        }
    }
    text.push_str(&summary(&plans));
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The plan of a rule's part, and the format whose lines it is for, where that matters.
struct Explained {
    rule: RuleId,
    part: Part,
    matching: Arc<Match>,
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
fn likely_format(matching: &Match) -> Option<&'static str> {
    let condition = matching.condition.as_ref()?;
    let is_group = |name: &str| {
        let mut groups = matching.regex.iter().flat_map(Pattern::names);
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
    let wanted = parts::wanted(rules, ids, &|_| FieldUse::Unwanted);
    let plan = |format: Option<&Format>| {
        let setup = Setup {
            format,
            ..Setup::default()
        };
        Matcher::with(wanted.clone(), &setup)
    };
    let plain = plan(None);
    let formats = ["nginx", "nginx_error", "json"];
    let by_format: Vec<(&'static str, Matcher)> = formats
        .into_iter()
        .filter_map(|name| Some((name, plan(Some(&Format::named(name)?)))))
        .collect();
    let planned = plain.plan().rules.iter().enumerate();
    let explained = planned.filter_map(|(index, found)| {
        let of_part = wanted.iter().find(|wanted| wanted.rule == found.rule)?;
        let likely = likely_format(&of_part.matching);
        let better = by_format.iter().find_map(|(name, matcher)| {
            let plan = matcher.plan().rules.get(index)?;
            (Some(*name) == likely).then(|| (*name, plan.tier.clone()))
        });
        let (format, tier) = match better {
            Some((name, tier)) => (Some(name), tier),
            None => (None, found.tier.clone()),
        };
        let (rule, part) = parts::split(found.rule);
        Some(Explained {
            rule,
            part,
            matching: Arc::clone(&of_part.matching),
            tier,
            format,
        })
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

fn explain(text: &mut String, rule: &Rule, plans: &[Explained]) {
    writeln!(text, "{}", rule.name).ok();
    for plan in plans {
        if !rule.parts.is_empty() {
            writeln!(text, "  {}", part_name(&rule.condition, plan.part)).ok();
        }
        explain_part(text, plan);
    }
    let group = if rule.group_by.is_empty() {
        String::new()
    } else {
        format!(", for each {}", rule.group_by.join(", "))
    };
    writeln!(text, "  fires  {}{group}\n", fires(&rule.condition)).ok();
}

fn explain_part(text: &mut String, plan: &Explained) {
    let (tier, matching) = (&plan.tier, &plan.matching);
    match plan.format {
        Some(format) => writeln!(text, "  asked  {tier}, in {format} lines").ok(),
        None => writeln!(text, "  asked  {tier}").ok(),
    };
    writeln!(text, "  cost   {}: {}", tier.cost(), tier.search()).ok();
    if let Some(advice) = tier.advice() {
        writeln!(text, "  advice {advice}").ok();
    }
    let keys = [
        ("contains", matching.contains.len()),
        ("regex", matching.regex.len()),
        ("where", usize::from(matching.condition.is_some())),
        (
            "not",
            matching.not_contains.len() + matching.not_regex.len(),
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
        format!("such a line is held against its {}", confirmed.join(", "))
    };
    writeln!(text, "  then   {confirmed}").ok();
}

/// The key that a part stands under.
fn part_name(condition: &ConditionSpec, part: Part) -> String {
    match condition {
        _ if part == Part::MATCH => "match".to_owned(),
        ConditionSpec::Pair { .. } if part == Part::START => "start".to_owned(),
        ConditionSpec::Pair { .. } => "finish".to_owned(),
        ConditionSpec::PercentageMatch { .. } => "match_bucket".to_owned(),
        _ => format!("step {}", part.number()),
    }
}

fn fires(condition: &ConditionSpec) -> String {
    let text = |span: &Duration| duration_text(*span);
    match condition {
        ConditionSpec::Any => "on each hit".to_owned(),
        ConditionSpec::Frequency {
            num_events,
            timeframe,
        } => {
            let hits = counted((*num_events).into(), "hit");
            format!("at {hits} in {}", text(timeframe))
        }
        ConditionSpec::Spike(spec) => {
            let way = match spec.direction {
                SpikeType::Up => "more",
                SpikeType::Down => "fewer",
                SpikeType::Both => "more or fewer",
            };
            let than = match spec.reference {
                Reference::Previous => "the window before".to_owned(),
                Reference::SameTime(span) => format!("{} before", text(&span)),
            };
            let (height, timeframe) = (spec.height, text(&spec.timeframe));
            format!("at {height} times {way} hits in {timeframe} than {than}")
        }
        ConditionSpec::Flatline {
            threshold,
            timeframe,
        } => format!("at fewer than {threshold} hits in {}", text(timeframe)),
        ConditionSpec::Pair { within, fire_on } => match fire_on {
            FireOn::Missing => format!("when no finish follows within {}", text(within)),
            FireOn::Completed => format!("when a finish follows within {}", text(within)),
        },
        ConditionSpec::Sequence { num_events, within } => {
            let counts: Vec<String> = num_events.iter().map(u32::to_string).collect();
            format!(
                "at {} lines in this order within {}",
                counts.join(", then "),
                text(within)
            )
        }
        other => fires_by_values(other),
    }
}

/// One of two bounds, or both.
fn either(upper: Option<String>, lower: Option<String>) -> String {
    let bounds: Vec<String> = [upper, lower].into_iter().flatten().collect();
    bounds.join(" or ")
}

/// The same for types that look at what the hits hold.
fn fires_by_values(condition: &ConditionSpec) -> String {
    let text = |span: &Duration| duration_text(*span);
    match condition {
        ConditionSpec::NewTerm {
            fields,
            terms_window_size,
            learn_for,
        } => {
            let items: Vec<String> = fields.iter().map(|names| names.join(" and ")).collect();
            format!(
                "on a {} not seen in {}, after {} of learning",
                items.join(", or a "),
                text(terms_window_size),
                text(learn_for)
            )
        }
        ConditionSpec::Cardinality {
            field,
            min,
            max,
            timeframe,
        } => {
            let more = max.map(|max| format!("more than {max}"));
            let fewer = min.map(|min| format!("fewer than {min}"));
            let span = text(timeframe);
            format!("at {} values of {field} in {span}", either(more, fewer))
        }
        ConditionSpec::PercentageMatch {
            min,
            max,
            min_denominator,
            timeframe,
        } => {
            let more = max.map(|max| format!("more than {max} %"));
            let less = min.map(|min| format!("less than {min} %"));
            format!(
                "when {} of at least {min_denominator} hits in {} are in the bucket",
                either(more, less),
                text(timeframe)
            )
        }
        ConditionSpec::NewPattern {
            learn_for,
            returned_after,
            ..
        } => {
            let returns = returned_after
                .map_or_else(String::new, |span| format!(", or not for {}", text(&span)));
            format!(
                "on a shape of line not seen before{returns}, after {} of learning",
                text(learn_for)
            )
        }
        _ => String::new(),
    }
}
