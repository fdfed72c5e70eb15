// SPDX-License-Identifier: Apache-2.0
// What the training did, epoch by epoch; part of the checkpoint, so that a resumed run writes the
// same history as one that never stopped.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/tensor.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/train/svg_chart.hpp>
#include <bitdial/train/table.hpp>
#include <bitdial/train/trainer.hpp>

namespace quickstart {

class History {
 public:
  History(std::vector<std::string> plans, std::int64_t epochs)
      : plans_{std::move(plans)},
        columns_{static_cast<std::int64_t>(plans_.size())},
        loss_({epochs, columns_}),
        train_({epochs, columns_}),
        test_({epochs, columns_}),
        finished_({1}),
        running_({3, columns_}) {}

  void add_step(const bitdial::train::StepReport& report) {
    for (std::int64_t p = 0; p < columns_; ++p) {
      running_[p] += report.losses[static_cast<std::size_t>(p)];
      running_[columns_ + p] += report.accuracies[static_cast<std::size_t>(p)];
      running_[2 * columns_ + p] += 1.0F;
    }
  }

  void end_epoch(const std::vector<double>& test_accuracy) {
    const std::int64_t epoch = finished_epochs();
    for (std::int64_t p = 0; p < columns_; ++p) {
      loss_[epoch * columns_ + p] = running_loss(p);
      train_[epoch * columns_ + p] = running_accuracy(p);
      test_[epoch * columns_ + p] = static_cast<float>(test_accuracy[static_cast<std::size_t>(p)]);
    }
    running_.fill(0.0F);
    finished_[0] += 1.0F;
  }

  [[nodiscard]] std::int64_t finished_epochs() const {
    return static_cast<std::int64_t>(finished_[0]);
  }

  // Means over the steps of the current epoch.
  [[nodiscard]] float running_loss(std::int64_t plan) const { return mean(0, plan); }
  [[nodiscard]] float running_accuracy(std::int64_t plan) const { return mean(1, plan); }

  [[nodiscard]] bitdial::nn::Named<bitdial::Tensor<float>> state() {
    return {{"history.loss", &loss_},
            {"history.train", &train_},
            {"history.test", &test_},
            {"history.finished", &finished_},
            {"history.running", &running_}};
  }

  [[nodiscard]] bitdial::train::Table table() const {
    namespace train = bitdial::train;
    std::vector<train::TableColumn> columns{{"epoch"}};
    for (const char* what : {"loss", "train_top1", "test_top1"}) {
      for (const std::string& plan : plans_) columns.push_back({bitdial::concat(what, "_", plan)});
    }
    train::Table table(columns);
    for (std::int64_t epoch = 0; epoch < finished_epochs(); ++epoch) {
      std::vector<std::string> row{bitdial::concat(epoch + 1)};
      for (const auto* values : {&loss_, &train_, &test_}) {
        for (std::int64_t p = 0; p < columns_; ++p) {
          row.push_back(train::fixed(static_cast<double>((*values)[epoch * columns_ + p]), 5));
        }
      }
      table.add_row(row);
    }
    return table;
  }

  [[nodiscard]] std::vector<bitdial::train::ChartSeries> loss_curves() const {
    return curves(loss_);
  }
  [[nodiscard]] std::vector<bitdial::train::ChartSeries> test_curves() const {
    return curves(test_);
  }

 private:
  [[nodiscard]] float mean(std::int64_t row, std::int64_t plan) const {
    const float steps = running_[2 * columns_ + plan];
    return steps > 0.0F ? running_[row * columns_ + plan] / steps : 0.0F;
  }

  [[nodiscard]] std::vector<bitdial::train::ChartSeries> curves(
      const bitdial::Tensor<float>& values) const {
    std::vector<bitdial::train::ChartSeries> series;
    for (std::int64_t p = 0; p < columns_; ++p) {
      bitdial::train::ChartSeries curve{.name = plans_[static_cast<std::size_t>(p)], .points = {}};
      for (std::int64_t epoch = 0; epoch < finished_epochs(); ++epoch) {
        curve.points.push_back({.x = static_cast<double>(epoch + 1),
                                .y = static_cast<double>(values[epoch * columns_ + p])});
      }
      series.push_back(std::move(curve));
    }
    return series;
  }

  std::vector<std::string> plans_;
  std::int64_t columns_;
  bitdial::Tensor<float> loss_, train_, test_, finished_, running_;
};

}  // namespace quickstart
