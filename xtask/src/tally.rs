//! Adds up what the test runners report.

use std::fmt;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// `12 passed, 0 failed`, followed by `, 3 skipped` when some were.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Reads the line with which a Rust test binary ends:
/// `test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
pub(crate) fn of_libtest(line: &str) -> Option<Tally> {
    let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok());
    Some(Tally { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
}

/// Reads the `stats` with which a JSON report of Playwright ends. A test that passed only when it was repeated has failed.
pub(crate) fn of_playwright(report: &str) -> Option<Tally> {
    let (_, stats) = report.rsplit_once("\"stats\":")?;
    let count = |name: &str| -> Option<u64> {
        let (_, value) = stats.split_once(&format!("\"{name}\":"))?;
        value.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    Some(Tally { passed: count("expected")?, failed: count("unexpected")? + count("flaky")?, skipped: count("skipped")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_rust_test_binary() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.02s\n";
        assert_eq!(of_libtest(line), Some(Tally { passed: 12, failed: 3, skipped: 1 }));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["", "running 3 tests", "test result::is_ok ... ok", "test result: ok."] {
            assert_eq!(of_libtest(line), None, "{line:?}");
        }
    }

    #[test]
    fn the_end_of_a_playwright_report() {
        let report = r#"{"suites": [{"title": "\"stats\": {\"expected\": 9"}],
          "stats": {"startTime": "2026-11-20T12:00:00.000Z", "duration": 1234.5, "expected": 5, "skipped": 1, "unexpected": 2, "flaky": 1}}"#;
        assert_eq!(of_playwright(report), Some(Tally { passed: 5, failed: 3, skipped: 1 }));
        assert_eq!(of_playwright("{}"), None);
    }

    #[test]
    fn the_count_as_it_is_printed() {
        let mut tally = Tally { passed: 2, failed: 0, skipped: 0 };
        assert_eq!(tally.to_string(), "2 passed, 0 failed");
        tally += Tally { passed: 1, failed: 1, skipped: 4 };
        assert_eq!(tally.to_string(), "3 passed, 1 failed, 4 skipped");
    }
}
