//! A progress bar, where there is a terminal to show it on; silence elsewhere.

#[cfg(feature = "server")]
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of this length for work that is counted in `unit`.
pub(super) fn bar(length: u64, unit: &'static str) -> ProgressBar {
    // Indicatif draws nothing where standard error is not a terminal.
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {unit} {{per_sec}} {{eta}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// A counter for work of which nobody knows how much there is.
#[cfg(feature = "server")]
pub(super) fn endless(unit: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(&format!("{{pos}} {unit} {{per_sec}}")) {
        bar.set_style(style);
    }
    bar
}

/// Names what is being done, and for how long.
#[cfg(feature = "server")]
pub(super) fn naming() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}
