// SPDX-License-Identifier: Apache-2.0
// Progress of a training run: a bar that redraws itself on a terminal, plain lines elsewhere.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/stopwatch.hpp>
#include <bitdial/train/format.hpp>
#include <bitdial/train/terminal.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

enum class ProgressStyle {
  quiet,  ///< nothing
  lines,  ///< whole lines, for files and logs
  bar,    ///< one line that is redrawn, for terminals
};

struct ProgressOptions {
  TextSink sink = {};  ///< where output goes, for example `stream_sink(stdout)`; empty: nowhere
  ProgressStyle style = ProgressStyle::lines;
  int width = 80;               ///< columns of the terminal; the bar never fills the last one
  bool unicode = true;          ///< block characters in the bar instead of `#` and `.`
  bool colour = false;          ///< ANSI colours in the bar
  double bar_interval = 0.1;    ///< seconds between two drawings of the bar
  double line_interval = 15.0;  ///< seconds between two lines within an epoch
  std::function<double()> clock = {};  ///< seconds since any moment; empty: a `Stopwatch`
};

/// Progress on `stream`, which stays the caller's: a bar where a person sees it live, else lines.
[[nodiscard]] inline ProgressOptions progress_on(std::FILE* stream) {
  const bool terminal = is_terminal(stream);
  return {.sink = stream_sink(stream),
          .style = terminal ? ProgressStyle::bar : ProgressStyle::lines,
          .width = terminal_width(stream),
          .colour = terminal};
}

/// The size of the work. A resumed run starts at `first_step`.
struct ProgressPlan {
  std::int64_t epochs = 1;
  std::int64_t steps_per_epoch = 1;
  std::int64_t images_per_step = 1;
  std::int64_t first_step = 0;  ///< steps done before this run, over all epochs
};

/// A name and a share in 0 .. 1, for example a precision and its accuracy.
struct NamedShare {
  std::string name = {};
  double share = 0.0;
};

/// Reports steps and epochs to a sink; rates and times are those of this run, resumed or not.
///
/// Call `step` after each optimizer step and `end_epoch` after the evaluation of each epoch;
/// `note` writes a line of your own without disturbing the bar. Throws `ConfigError` for a plan
/// without work.
class Progress {
 public:
  Progress(ProgressOptions options, const ProgressPlan& plan)
      : options_{std::move(options)}, plan_{plan}, done_{plan.first_step} {
    if (plan.epochs < 1 || plan.steps_per_epoch < 1 || plan.images_per_step < 1 ||
        plan.first_step < 0) {
      throw ConfigError(concat("progress: expected at least one epoch, step and image, found ",
                               plan.epochs, " epochs of ", plan.steps_per_epoch, " steps of ",
                               plan.images_per_step, " images"));
    }
    if (!options_.clock) options_.clock = [watch = Stopwatch{}] { return watch.seconds(); };
    started_ = epoch_started_ = last_step_ = options_.clock();
    epoch_first_step_ = done_;
  }

  /// One more step is done. `loss` and `accuracy` are those to show, typically running means.
  void step(double loss, const std::vector<NamedShare>& accuracy = {}) {
    ++done_;
    if (silent()) return;
    const double now = last_step_ = options_.clock();
    const bool bar = options_.style == ProgressStyle::bar;
    const bool last = step_of_epoch() == plan_.steps_per_epoch;
    // The first bar appears at once, the first line after one interval; a full epoch shows a full
    // bar but no line, because its summary comes next.
    const bool due = bar ? !drawn_ || last || now - *drawn_ >= options_.bar_interval
                         : !last && now - drawn_.value_or(epoch_started_) >= options_.line_interval;
    if (!due) return;
    drawn_ = now;
    if (bar) {
      write(concat("\r", bar_text(now, loss, accuracy), "\x1b[K"));
    } else {
      write(join(variants(now, loss, accuracy).front(), "  ") + '\n');
    }
  }

  /// The current epoch is over: writes its summary line and starts the next one.
  void end_epoch(double loss, const std::vector<NamedShare>& accuracy = {}) {
    const double now = options_.clock();
    if (!silent()) {
      // `done_` is a whole number of epochs here, or the epoch was cut short.
      const std::int64_t epoch = std::max<std::int64_t>(1, (done_ - 1) / plan_.steps_per_epoch + 1);
      std::vector<std::string> parts{epoch_text(epoch), "loss " + fixed(loss, 4)};
      for (const NamedShare& one : accuracy) {
        parts.push_back(concat(one.name, " ", percent(one.share, 2)));
      }
      parts.push_back(rate_text());
      parts.push_back(duration(now - epoch_started_));
      clear_bar();
      write(join(parts, "  ") + '\n');
    }
    epoch_started_ = now;
    epoch_first_step_ = done_;
    drawn_.reset();
  }

  /// Writes a line of text; a bar below it is drawn again by the next step.
  void note(std::string_view text) {
    if (silent()) return;
    clear_bar();
    write(concat(text, "\n"));
    if (options_.style == ProgressStyle::bar) drawn_.reset();
  }

  /// Seconds since the start of this run.
  [[nodiscard]] double elapsed() const { return options_.clock() - started_; }

 private:
  [[nodiscard]] bool silent() const noexcept {
    return options_.style == ProgressStyle::quiet || !options_.sink;
  }
  void write(std::string_view text) const { options_.sink(text); }
  void clear_bar() const {
    if (options_.style == ProgressStyle::bar && drawn_) write("\r\x1b[K");
  }

  /// 1 .. steps_per_epoch.
  [[nodiscard]] std::int64_t step_of_epoch() const noexcept {
    return (done_ - 1) % plan_.steps_per_epoch + 1;
  }
  [[nodiscard]] std::string epoch_text(std::int64_t epoch) const {
    const std::string total = concat(plan_.epochs);
    std::string number = concat(epoch);
    if (number.size() < total.size()) number.insert(0, total.size() - number.size(), ' ');
    return concat("epoch ", number, "/", total);
  }
  /// Of the steps alone: the evaluation at the end of an epoch does not count.
  [[nodiscard]] std::string rate_text() const {
    const double seconds = last_step_ - epoch_started_;
    const double images = static_cast<double>((done_ - epoch_first_step_) * plan_.images_per_step);
    if (!(seconds > 0.0)) return "- img/s";
    return grouped(std::llround(images / seconds)) + " img/s";
  }
  [[nodiscard]] std::string remaining_text(double now) const {
    const std::int64_t steps = plan_.epochs * plan_.steps_per_epoch;
    const double per_step = (now - started_) / static_cast<double>(done_ - plan_.first_step);
    const double seconds = per_step * static_cast<double>(std::max<std::int64_t>(0, steps - done_));
    return "ETA " + duration(seconds);
  }

  /// The accuracies with their names, or, where room is short, as `"91.2/90.1 %"`.
  [[nodiscard]] static std::vector<std::string> named(const std::vector<NamedShare>& accuracy) {
    std::vector<std::string> parts;
    for (const NamedShare& one : accuracy) {
      parts.push_back(concat(one.name, " ", fixed(100.0 * one.share, 1)));
    }
    return parts;
  }
  [[nodiscard]] static std::vector<std::string> bare(const std::vector<NamedShare>& accuracy) {
    std::vector<std::string> shares;
    for (const NamedShare& one : accuracy) shares.push_back(fixed(100.0 * one.share, 1));
    if (shares.empty()) return {};
    return {join(shares, "/") + " %"};
  }

  /// What can be said within an epoch, from all of it to the least; empty parts are left out.
  [[nodiscard]] std::vector<std::vector<std::string>> variants(
      double now, double loss, const std::vector<NamedShare>& accuracy) const {
    const std::string epoch = epoch_text((done_ - 1) / plan_.steps_per_epoch + 1);
    const double done = static_cast<double>(step_of_epoch());
    std::string share = percent(done / static_cast<double>(plan_.steps_per_epoch), 0);
    share.insert(0, share.size() < 5 ? 5 - share.size() : 0, ' ');
    const std::string eta = remaining_text(now);
    const std::string error = "loss " + fixed(loss, 3);
    const std::string rate = rate_text();
    const auto with = [](std::vector<std::string> parts, const std::vector<std::string>& more) {
      parts.insert(parts.end(), more.begin(), more.end());
      return parts;
    };
    return {with({epoch, share, eta, rate, error}, named(accuracy)),
            with({epoch, share, eta, rate, error}, bare(accuracy)),
            with({epoch, eta, rate, error}, bare(accuracy)),
            with({epoch, eta, error}, bare(accuracy)),
            {epoch, eta, error},
            {epoch, eta},
            {epoch}};
  }

  /// The richest variant that fits, with a bar of 6 .. 24 cells after the epoch.
  [[nodiscard]] std::string bar_text(double now, double loss,
                                     const std::vector<NamedShare>& accuracy) const {
    constexpr int least_cells = 6;
    constexpr int most_cells = 24;
    const int columns = std::max(1, options_.width - 1);
    for (std::vector<std::string>& parts : variants(now, loss, accuracy)) {
      const int cells = std::min(most_cells, columns - display_width(join(parts, "  ")) - 2);
      if (cells < least_cells) continue;
      parts.insert(parts.begin() + 1, bar(cells));
      return join(parts, "  ");
    }
    return bar(std::min(columns, most_cells));
  }

  [[nodiscard]] std::string bar(int cells) const {
    const int filled = static_cast<int>(step_of_epoch() * cells / plan_.steps_per_epoch);
    const auto repeat = [](std::string_view text, int count) {
      std::string out;
      for (int i = 0; i < count; ++i) out += text;
      return out;
    };
    const std::string done = repeat(options_.unicode ? "█" : "#", filled);
    const std::string left = repeat(options_.unicode ? "░" : ".", cells - filled);
    if (!options_.colour) return done + left;
    return concat("\x1b[36m", done, "\x1b[90m", left, "\x1b[0m");
  }

  ProgressOptions options_;
  ProgressPlan plan_;
  std::int64_t done_;                  // steps, over all epochs and runs
  std::int64_t epoch_first_step_ = 0;  // `done_` when this run began the current epoch
  double started_ = 0.0;
  double epoch_started_ = 0.0;
  double last_step_ = 0.0;
  std::optional<double> drawn_;  // when the visible bar or the last line was written
};

}  // namespace bitdial::inline BITDIAL_ABI::train
