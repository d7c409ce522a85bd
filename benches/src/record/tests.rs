use super::*;

fn outcome(name: &str, rates: &[f64]) -> Outcome {
    Outcome {
        name: name.to_owned(),
        bytes: 1_000_000,
        hits: 7,
        rates: rates.to_vec(),
    }
}

fn record() -> Record {
    let mut rows = Vec::new();
    for corpus in ["nginx", "mixed"] {
        let outcomes = [
            outcome("lapwing", &[2000.0, 1000.0, 3000.0]),
            outcome("hyperscan", &[1000.0, 1000.0, 1000.0]),
            outcome("regexset", &[100.0, 100.0, 100.0]),
        ];
        rows.extend(super::rows("scan", corpus, "r50", &outcomes));
    }
    Record {
        day: "2026-11-21".to_owned(),
        processor: "Some CPU (R), avx2".to_owned(),
        setting: "Hyperscan 5.4.0".to_owned(),
        rows,
    }
}

#[test]
fn a_ratio_is_the_median_of_the_rounds_ratios() {
    let rows = record().rows;
    let times = rows
        .iter()
        .find(|row| row.engine == "hyperscan")
        .unwrap()
        .times;
    assert_eq!(
        times,
        Figure {
            median: 2.0,
            least: 1.0,
            most: 3.0
        }
    );
}

#[test]
fn a_record_is_read_back_as_it_was_written() {
    assert_eq!(Record::parse(&record().csv()).unwrap(), record());
    assert_eq!(record().file_name(), "2026-11-21-some-cpu-r-avx2.csv");
}

#[test]
fn the_table_holds_ratios_and_a_dash_for_what_was_not_measured() {
    let table = record().table();
    let last = table.lines().last().unwrap();
    assert_eq!(
        last,
        "| r50 | 2.0 / 2.0 | 20 / 20 | – / – | – / – | – / – |"
    );
}

#[test]
fn the_readmes_table_is_made_from_the_newest_record() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    assert_eq!(with_table(&readme, &newest().unwrap()).unwrap(), readme);
}
