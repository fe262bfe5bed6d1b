//! Progress on a terminal, and logs that do not get into its way.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use fedcost_proto::ingest::v1::{Progress, State, Status};
use indicatif::{DecimalBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use tracing::info;

const FRAME: Duration = Duration::from_millis(100);

/// How often progress is logged where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

const FILES: &str = "{spinner} {msg} [{bar:30}] {human_pos}/{human_len} files, {eta} left";
const BYTES: &str =
    "{spinner} {msg}\n  [{bar:40}] {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
const WAITING: &str = "{spinner} {msg}";

/// What stands behind stderr: bars when it is a terminal, only lines when it is not.
#[derive(Clone)]
pub(crate) struct Screen {
    bars: MultiProgress,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// A bar for files that are written. The caller ends it.
    pub(crate) fn files(&self, total: u64) -> ProgressBar {
        let bar = self.bar(FILES).with_message("writing");
        bar.set_length(total);
        bar
    }

    /// For logs: takes the bars away, writes, and draws them again.
    pub(crate) fn log_writer(&self) -> impl Fn() -> LogWriter + Send + Sync + 'static {
        let screen = self.clone();
        move || LogWriter(screen.clone())
    }

    /// Writes a line to stdout, which may be the same terminal.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(crate) fn announce(&self, line: &str) -> io::Result<()> {
        self.bars
            .suspend(|| crate::output::print(|stdout| writeln!(stdout, "{line}")))
    }

    fn bar(&self, template: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(0));
        bar.set_style(style(template));
        bar.enable_steady_tick(FRAME);
        bar
    }
}

/// Writes to stderr around the bars.
pub(crate) struct LogWriter(Screen);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.bars.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn style(template: &str) -> ProgressStyle {
    // A template that cannot be read would only lose the looks.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Shows what ingest says of itself.
pub(crate) struct IngestView {
    screen: Screen,
    bar: Option<ProgressBar>,
    shown: State,
    next_line: Instant,
}

impl IngestView {
    pub(crate) fn new(screen: Screen) -> Self {
        Self {
            screen,
            bar: None,
            shown: State::Unspecified,
            next_line: Instant::now(),
        }
    }

    /// Shows a status, which may be the same as before.
    pub(crate) fn show(&mut self, status: &Status) {
        let state = status.state();
        let progress = status.progress.unwrap_or_default();
        if self.screen.is_terminal() {
            self.draw(state, &progress);
        } else if state == State::Ingesting && progress.files_to_read > 0 && Instant::now() >= self.next_line {
            self.next_line = Instant::now() + LINE_INTERVAL;
            info!(
                files_read = progress.files_read,
                files_to_read = progress.files_to_read,
                bytes_read = progress.bytes_read,
                bytes_to_read = progress.bytes_to_read,
                rows = progress.rows,
                partitions_written = progress.partitions_written,
                partitions_to_write = progress.partitions_to_write,
                "ingesting"
            );
        }
        if state == State::Idle && self.shown != State::Idle && status.cycle > 0 {
            self.tell_end(status, &progress);
        }
        self.shown = state;
    }

    fn draw(&mut self, state: State, progress: &Progress) {
        let template = match state {
            State::Ingesting => BYTES,
            State::Finding | State::Publishing => WAITING,
            State::Idle | State::Unspecified => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                return;
            }
        };
        let bar = self.bar.get_or_insert_with(|| self.screen.bar(template));
        if state != self.shown {
            bar.set_style(style(template));
        }
        bar.set_length(progress.bytes_to_read);
        bar.set_position(progress.bytes_read);
        bar.set_message(match state {
            State::Finding => "looking for files".to_owned(),
            State::Publishing => "publishing".to_owned(),
            _ => read_so_far(progress),
        });
    }

    /// In a terminal only warnings of the services are shown, so what came of a cycle is told here.
    fn tell_end(&self, status: &Status, progress: &Progress) {
        let nothing_new = progress.files_to_read + progress.files_removed == 0;
        if !self.screen.is_terminal() || nothing_new || !status.last_error.is_empty() {
            return;
        }
        let release = status.release.unwrap_or_default();
        info!(
            "release {} has {} rows, {} of them new from {} files ({})",
            release.number,
            HumanCount(release.rows),
            HumanCount(progress.rows),
            HumanCount(progress.files_read),
            DecimalBytes(progress.bytes_read),
        );
        if progress.files_failed > 0 {
            info!("{} files could not be read and are left out", progress.files_failed);
        }
    }
}

fn read_so_far(progress: &Progress) -> String {
    let mut text = format!(
        "reading: {} of {} files, {} rows, {} of {} partitions written",
        HumanCount(progress.files_read),
        HumanCount(progress.files_to_read),
        HumanCount(progress.rows),
        HumanCount(progress.partitions_written),
        HumanCount(progress.partitions_to_write),
    );
    if progress.files_failed > 0 {
        text.push_str(&format!(", {} failed", HumanCount(progress.files_failed)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_can_be_read() {
        for template in [FILES, BYTES, WAITING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn failures_are_only_told_when_there_are_some() {
        let mut progress = Progress {
            files_read: 1_200,
            files_to_read: 3_000,
            ..Progress::default()
        };
        assert_eq!(
            read_so_far(&progress),
            "reading: 1,200 of 3,000 files, 0 rows, 0 of 0 partitions written"
        );
        progress.files_failed = 2;
        assert!(read_so_far(&progress).ends_with("written, 2 failed"));
    }
}
