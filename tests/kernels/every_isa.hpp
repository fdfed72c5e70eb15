// SPDX-License-Identifier: Apache-2.0
// Runs a test body for every kernel table of this machine, and memory that faults when a kernel
// leaves it.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bitdial/kernels/active.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace bitdial_test {

/// body(table) for each supported table; a failure names the table.
template <class Body>
void for_each_supported_isa(Body&& body) {
  for (const bitdial::kernels::KernelTable* table : bitdial::kernels::supported_kernels()) {
    const std::string name = table->name;
    CAPTURE(name);
    body(*table);
  }
}

/// Numbers of rows that tiles of at most `most` rows may have: each up to that, and whole tiles.
inline std::vector<std::int64_t> tile_rows(std::int64_t most) {
  std::vector<std::int64_t> rows;
  for (std::int64_t r = 1; r <= most; ++r) rows.push_back(r);
  for (const std::int64_t tiles : {2, 3}) rows.push_back(tiles * most);
  return rows;
}

/// `size` elements that end exactly at a page without access (or, `at_start`, begin after one).
template <class T>
class GuardedArray {
 public:
  struct Placement {
    bool at_start = false;
  };
  explicit GuardedArray(std::int64_t size, Placement placement = Placement{false})
      : size_{static_cast<std::size_t>(size)} {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = size_ * sizeof(T);
    const std::size_t inner = (bytes + page - 1) / page * page;
    mapped_ = inner + 2 * page;
    base_ = static_cast<std::byte*>(
        mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) std::abort();
    if (inner != 0 && mprotect(base_ + page, inner, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = reinterpret_cast<T*>(base_ + page + (placement.at_start ? 0 : inner - bytes));
  }
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;
  ~GuardedArray() { munmap(base_, mapped_); }

  [[nodiscard]] T* data() const noexcept { return data_; }
  [[nodiscard]] std::int64_t size() const noexcept { return static_cast<std::int64_t>(size_); }
  [[nodiscard]] T& operator[](std::int64_t i) const noexcept { return data_[i]; }

  template <class F>
  void fill(F&& f) {
    for (std::size_t i = 0; i < size_; ++i) data_[i] = f();
  }

 private:
  std::size_t size_;
  std::size_t mapped_ = 0;
  std::byte* base_ = nullptr;
  T* data_ = nullptr;
};

/// Small deterministic numbers (xorshift), the same on every machine.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_{seed * 0x9e3779b97f4a7c15U + 1} {}
  [[nodiscard]] std::uint64_t bits() noexcept {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  [[nodiscard]] std::int64_t between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(high - low + 1));
  }
  [[nodiscard]] float real(float low, float high) noexcept {
    return low + (high - low) * static_cast<float>(bits() >> 40) * 0x1p-24F;
  }

 private:
  std::uint64_t state_;
};

}  // namespace bitdial_test
