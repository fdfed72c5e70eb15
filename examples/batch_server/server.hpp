// SPDX-License-Identifier: Apache-2.0
// Collects requests, runs those of one plan together, and answers each through its future.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <bitdial/runtime.hpp>

class BatchServer {
 public:
  /// One worker thread with a session of its own; batches of up to `max_batch` requests.
  BatchServer(const bitdial::Model& model, std::int64_t max_batch)
      : session_{bitdial::Session::create(model, {.max_batch = max_batch}).value()},
        image_{static_cast<std::size_t>(model.input_shape().size())},
        outputs_{static_cast<std::size_t>(model.output_size())},
        worker_{[this](const std::stop_token& stop) { serve(stop); }} {}

  /// The outputs of one image under a plan; the future throws what `Session::run` says.
  std::future<std::vector<float>> submit(std::vector<std::uint8_t> image, std::size_t plan) {
    if (image.size() != image_) {
      throw std::invalid_argument("batch_server: " + std::to_string(image.size()) +
                                  " bytes, one image has " + std::to_string(image_));
    }
    std::future<std::vector<float>> answer;
    {
      const std::lock_guard lock{mutex_};
      Request& request = waiting_.emplace_back(Request{std::move(image), plan, {}});
      answer = request.answer.get_future();
    }
    arrived_.notify_one();
    return answer;
  }

  /// Batches that have run, for the curious.
  [[nodiscard]] std::size_t batches() const {
    const std::lock_guard lock{mutex_};
    return batches_;
  }

 private:
  struct Request {
    std::vector<std::uint8_t> image;
    std::size_t plan = 0;
    std::promise<std::vector<float>> answer;
  };

  void serve(const std::stop_token& stop) {
    while (true) {
      std::vector<Request> batch;
      {
        std::unique_lock lock{mutex_};
        if (!arrived_.wait(lock, stop, [&] { return !waiting_.empty(); })) return;
        batch = take_batch();
        ++batches_;
      }
      run(batch);
    }
  }

  // The oldest request, and the others of its plan behind it. Nobody waits for company.
  std::vector<Request> take_batch() {
    const std::size_t plan = waiting_.front().plan;
    const auto most = static_cast<std::size_t>(session_.max_batch());
    std::vector<Request> batch;
    for (auto it = waiting_.begin(); it != waiting_.end() && batch.size() < most;) {
      if (it->plan != plan) {
        ++it;
        continue;
      }
      batch.push_back(std::move(*it));
      it = waiting_.erase(it);
    }
    return batch;
  }

  void run(std::vector<Request>& batch) {
    std::vector<std::uint8_t> images;
    for (const Request& request : batch) {
      images.insert(images.end(), request.image.begin(), request.image.end());
    }
    std::vector<float> outputs(batch.size() * outputs_);
    const auto done = session_.run(images, outputs, batch.front().plan);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!done) {
        batch[i].answer.set_exception(std::make_exception_ptr(std::runtime_error(done.error())));
        continue;
      }
      const auto begin = outputs.begin() + static_cast<std::ptrdiff_t>(i * outputs_);
      batch[i].answer.set_value({begin, begin + static_cast<std::ptrdiff_t>(outputs_)});
    }
  }

  bitdial::Session session_;
  std::size_t image_, outputs_;
  mutable std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::deque<Request> waiting_;
  std::size_t batches_ = 0;
  std::jthread worker_;  // last: it uses all of the above
};
