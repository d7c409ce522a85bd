//! Rule types that fire without a line, before the running agent.

use crate::host::Host;
use crate::receiver::Receiver;

const RULES: &str = "
version: 1
rules:
  - {name: no-heartbeat, inputs: [spoken], type: flatline, timeframe: 10s, match: {contains: heartbeat}}
  - {name: nothing, inputs: [silent], type: flatline, timeframe: 10s}
  - name: job-hangs
    inputs: [spoken]
    type: pair
    start: {contains: ['job begins']}
    finish: {contains: ['job ends']}
    within: 8s
";

#[test]
fn silence_is_told_without_a_line_and_says_whether_the_input_is_silent_too() {
    let receiver = Receiver::start();
    let host = Host::new();
    host.write("rules.yaml", RULES);
    let config = format!(
        "state_dir: state\nrules: [rules.yaml]\n\
         inputs:\n  spoken: {{type: file, path: a.log, format: plain}}\n  \
         silent: {{type: file, path: b.log, format: plain}}\n\
         outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    );
    host.write("lapwing.yaml", config);
    host.write("a.log", "");
    host.write("b.log", "");
    let agent = host.run();
    host.append("a.log", "job begins\nsomething else\n");
    for (rule, state) in [
        ("no-heartbeat", Some("ok")),
        ("nothing", Some("silent")),
        ("job-hangs", None),
    ] {
        receiver.wait_for(1, |request| request.is(rule, "firing"));
        let received = receiver.received();
        let told = received.iter().find(|request| request.is(rule, "firing"));
        let json = &told.expect("it was waited for").json;
        assert_eq!(json["input_state"].as_str(), state, "{rule}");
    }
    agent.stop();
}
