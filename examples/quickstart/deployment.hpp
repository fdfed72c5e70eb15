// SPDX-License-Identifier: Apache-2.0
// Packs the trained network, reloads the file from disk, and holds the packed integer network
// against the trained one: same answers, how many bytes, how many milliseconds.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <bitdial/deploy/pack.hpp>
#include <bitdial/runtime.hpp>
#include <bitdial/train/evaluate.hpp>

#include "training.hpp"

namespace quickstart {

// One row of the result: one precision.
struct Outcome {
  std::string precision;
  double top1_fake_quant = 0.0;
  double top1_packed = 0.0;
  bool identical = false;  // every logit of every test image, bit for bit
  std::int64_t bytes = 0;
  double ms_1_thread = 0.0;
  double ms_all_threads = 0.0;
};

inline double share_correct(const bitdial::Tensor<float>& logits,
                            const bitdial::data::Dataset& images) {
  const auto correct = bitdial::train::top_k_correct(logits.view(), images.labels(), 1);
  return static_cast<double>(correct) / static_cast<double>(images.size());
}

// The logits of the packed network for every image.
inline bitdial::Tensor<float> run_packed(bitdial::Session& session, std::size_t plan,
                                         const bitdial::data::Dataset& images, std::int64_t batch,
                                         std::int64_t outputs) {
  bitdial::Tensor<float> logits({images.size(), outputs});
  for (std::int64_t first = 0; first < images.size(); first += batch) {
    const std::int64_t last = std::min(images.size(), first + batch);
    const auto bytes = images.images().view().slice(first, last).span();
    session.run(bytes, logits.view().slice(first, last).span(), plan).value();
  }
  return logits;
}

// Median time of one image at batch 1, over many images.
inline double median_ms(bitdial::Session& session, std::size_t plan,
                        const bitdial::data::Dataset& images, std::int64_t outputs) {
  using Clock = std::chrono::steady_clock;
  std::vector<float> logits(static_cast<std::size_t>(outputs));
  std::vector<double> times;
  for (std::int64_t i = 0; i < 300; ++i) {
    const auto image = images.image(i % images.size());
    const auto begin = Clock::now();
    session.run(image, logits, plan).value();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::ranges::nth_element(times, times.begin() + 150);
  return times[150];
}

inline std::vector<Outcome> pack_and_compare(const Options& options, const Images& images,
                                             Trained& trained, const std::string& path) {
  bitdial::PackedNetwork packed = bitdial::pack(
      *trained.network, {.plans = trained.plans,
                         .input_shape = images.test.image_shape(),
                         .labels = images.test.class_names(),
                         .preprocessing = {.normalisation = images.prepared.normalisation,
                                           .centre = images.prepared.centre,
                                           .channels = "grey"}});
  constexpr std::int64_t batch = 100;
  std::vector<bitdial::Tensor<float>> expected;
  for (std::size_t p = 0; p < trained.plans.size(); ++p) {
    expected.push_back(bitdial::train::evaluate(*trained.network, images.test, trained.plans[p],
                                                batch, images.prepared));
    packed.plans[p].accuracy = {.top1 = share_correct(expected[p], images.test),
                                .samples = static_cast<std::uint64_t>(images.test.size()),
                                .data_set = images.test.name()};
  }
  bitdial::write_model(path, packed).value();

  const bitdial::Model model = bitdial::Model::open(path).value();
  auto wide = bitdial::Session::create(model, {.threads = options.threads, .max_batch = batch});
  auto narrow = bitdial::Session::create(model, {.threads = 1, .max_batch = 1});
  std::vector<Outcome> outcomes;
  for (std::size_t p = 0; p < trained.plans.size(); ++p) {
    const std::size_t plan = model.find_plan(trained.plans[p]).value();
    const auto logits = run_packed(wide.value(), plan, images.test, batch, model.output_size());
    const auto same = std::memcmp(logits.data(), expected[p].data(),
                                  static_cast<std::size_t>(logits.size()) * sizeof(float)) == 0;
    outcomes.push_back(
        {.precision = trained.plans[p].text(),
         .top1_fake_quant = share_correct(expected[p], images.test),
         .top1_packed = share_correct(logits, images.test),
         .identical = same,
         .bytes = model.packed_bytes(plan),
         .ms_1_thread = median_ms(narrow.value(), plan, images.test, model.output_size()),
         .ms_all_threads = median_ms(wide.value(), plan, images.test, model.output_size())});
  }
  return outcomes;
}

}  // namespace quickstart
