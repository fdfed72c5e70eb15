// SPDX-License-Identifier: Apache-2.0
// Other work on the same machine: threads that keep their processors busy for a third of the time
// while they are wanted.
#pragma once

#include <atomic>
#include <chrono>
#include <stop_token>
#include <thread>
#include <vector>

class Load {
 public:
  explicit Load(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          wanted_.wait(false);
          const auto rest = std::chrono::steady_clock::now() + std::chrono::milliseconds{1};
          while (wanted_ && std::chrono::steady_clock::now() < rest) {
          }
          std::this_thread::sleep_for(std::chrono::milliseconds{2});
        }
      });
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    for (std::jthread& thread : threads_) thread.request_stop();
    set(true);  // a thread that waits must see the request
  }

  void set(bool wanted) {
    wanted_ = wanted;
    wanted_.notify_all();
  }

 private:
  std::atomic<bool> wanted_{false};
  std::vector<std::jthread> threads_;
};
