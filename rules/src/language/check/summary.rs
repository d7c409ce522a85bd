//! What is said of an alert whose rule has no `summary`.

use crate::language::rule::{ConditionSpec, FireOn, SpikeSpec, SpikeType};
use crate::language::template::{OfRule, Template};

/// The values of the group.
const OF: &str = "{% for name, value in group|items %}\
     {{ ', ' if not loop.first else ' for ' }}{{ name }} {{ value }}{% endfor %}";

/// One for each type.
pub(super) fn default_of(condition: &ConditionSpec) -> Option<Template> {
    let what = match condition {
        ConditionSpec::Any => "{{ count }} {{ 'hit' if count == 1 else 'hits' }}".to_owned(),
        ConditionSpec::Frequency { .. } => "{% if reason == 'first' %}{{ count }} hits in \
             {{ timeframe }}{% else %}{{ count }} hits since {{ first_hit_at }}{% endif %}"
            .to_owned(),
        ConditionSpec::Spike(spec) => format!(
            "{{{{ value|round(1) }}}} times {} in {{{{ timeframe }}}} than {}",
            direction(spec),
            match spec.reference {
                crate::language::rule::Reference::Previous => "before",
                crate::language::rule::Reference::SameTime(_) => "usual",
            }
        ),
        ConditionSpec::Flatline { .. } => "{{ 'no hits' if value == 0 else 'only ' ~ value ~ \
             (' hit' if value == 1 else ' hits') }} in {{ timeframe }}\
             {% if input_state == 'silent' %}, and no other line{% endif %}\
             {% if input_state == 'unreadable' %}, the input cannot be read{% endif %}"
            .to_owned(),
        ConditionSpec::NewTerm { .. } => "not seen before".to_owned(),
        ConditionSpec::Cardinality { field, .. } => {
            // What an operator calls a field is no part of the template.
            let field: String = field.chars().filter(|c| !"{}%".contains(*c)).collect();
            format!("{{{{ value }}}} different values of {field} in {{{{ timeframe }}}}")
        }
        ConditionSpec::PercentageMatch { .. } => {
            "{{ value|round(1) }} % of the hits in {{ timeframe }}".to_owned()
        }
        ConditionSpec::Pair { fire_on, .. } => match fire_on {
            FireOn::Missing => "started and not finished within {{ timeframe }}".to_owned(),
            FireOn::Completed => "finished after {{ value }} s".to_owned(),
        },
        ConditionSpec::Sequence { .. } => "all steps within {{ value }} s".to_owned(),
        ConditionSpec::NewPattern { .. } => {
            "a kind of line not seen before: {{ pattern }}".to_owned()
        }
    };
    let text = format!("{{{{ rule }}}}: {what}{OF} on {{{{ host }}}}");
    Template::new(&text, OfRule::default()).ok()
}

fn direction(spec: &SpikeSpec) -> &'static str {
    match spec.direction {
        SpikeType::Up => "more hits",
        SpikeType::Down => "fewer hits",
        SpikeType::Both => "more or fewer hits",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_run_nothing_in_a_default_summary() {
        let condition = ConditionSpec::Cardinality {
            field: "{{ 1/0 }}{% x %}".into(),
            min: None,
            max: Some(1),
            timeframe: std::time::Duration::from_secs(1),
        };
        assert!(default_of(&condition).is_some());
    }
}
