// SPDX-License-Identifier: Apache-2.0
// A heap that only grows, for the start of the program.
#include "memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

alignas(64) std::byte arena[ARENA_BYTES];
alignas(64) std::byte heap[HEAP_BYTES];
std::size_t heap_used = 0;
bool heap_closed = false;

// What firmware would do here: reset the device.
[[noreturn]] void stop(const char* why) {
  std::fputs(why, stderr);
  std::_Exit(3);
}

void* take(std::size_t bytes, std::size_t alignment) {
  if (heap_closed) stop("firmware: an allocation after the start\n");
  const std::size_t begin = (heap_used + alignment - 1) / alignment * alignment;
  if (bytes > sizeof heap - std::min(sizeof heap, begin)) {
    stop("firmware: the heap is too small: raise HEAP_BYTES\n");
  }
  heap_used = begin + bytes;
  return heap + begin;
}

}  // namespace

std::span<std::byte> session_arena() {
  return arena;
}
std::size_t Heap::used() {
  return heap_used;
}
void Heap::close() {
  heap_closed = true;
}

void* operator new(std::size_t bytes) {
  return take(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return take(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return take(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return take(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void*) noexcept {}
void operator delete(void*, std::size_t) noexcept {}
void operator delete(void*, std::align_val_t) noexcept {}
void operator delete(void*, std::size_t, std::align_val_t) noexcept {}
