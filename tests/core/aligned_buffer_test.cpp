// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <utility>

#include <doctest/doctest.h>
#include <bitdial/core/aligned_buffer.hpp>

using bitdial::AlignedBuffer;

TEST_CASE_TEMPLATE("memory starts on 64 bytes and is zero", T, std::uint8_t, float, double) {
  for (std::size_t size = 1; size < 200; size += 7) {
    const AlignedBuffer<T> buffer(size);
    CHECK(buffer.size() == size);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
    for (const T& element : buffer.span()) CHECK(element == T{});
  }
}

TEST_CASE("an empty buffer owns nothing") {
  CHECK(AlignedBuffer<int>{}.data() == nullptr);
  CHECK(AlignedBuffer<int>(0).data() == nullptr);
  const AlignedBuffer<int> empty;
  const AlignedBuffer<int> copy = empty;
  CHECK(copy.size() == 0);
}

TEST_CASE("copy is deep, move takes the memory") {
  AlignedBuffer<int> first(3);
  first[2] = 7;
  AlignedBuffer<int> copy = first;
  copy[2] = 8;
  CHECK(first[2] == 7);

  const int* memory = copy.data();
  AlignedBuffer<int> moved = std::move(copy);
  CHECK(moved.data() == memory);
  CHECK(moved[2] == 8);

  first = moved;
  CHECK(first[2] == 8);
  CHECK(first.data() != moved.data());
  first = AlignedBuffer<int>(1);
  CHECK(first.size() == 1);
}

TEST_CASE("assignment to itself keeps the elements") {
  AlignedBuffer<int> buffer(4);
  buffer[1] = 5;
  const AlignedBuffer<int>& same = buffer;
  buffer = same;
  CHECK(buffer.size() == 4);
  CHECK(buffer[1] == 5);
}
