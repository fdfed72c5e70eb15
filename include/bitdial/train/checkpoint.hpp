// SPDX-License-Identifier: Apache-2.0
// Everything a run needs to go on as if it had never stopped: tensors by name, and the step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/io/byte_io.hpp>
#include <bitdial/io/mapped_file.hpp>
#include <bitdial/io/section_file.hpp>
#include <bitdial/io/write_file.hpp>
#include <bitdial/nn/traverse.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

namespace detail {

inline constexpr io::SectionFileKind checkpoint_kind{
    .magic = {'B', 'D', 'C', 'H', 'E', 'C', 'K', '\n'},
    .major = 1,
    .minor = 0,
    .name = "bitdial checkpoint"};
inline constexpr io::SectionKey header_section{1, 0};
inline constexpr std::uint32_t tensor_section = 2;

[[nodiscard]] inline std::vector<std::byte> encode(const std::string& name,
                                                   const Tensor<float>& tensor) {
  io::ByteWriter out;
  out.put_text(name);
  out.put(static_cast<std::uint32_t>(tensor.shape().rank()));
  for (const std::int64_t extent : tensor.shape()) out.put(static_cast<std::uint64_t>(extent));
  out.put_array(std::span<const float>{tensor.span()});
  return out.take();
}

/// The values that `encode` wrote for `name`; throws `FileError` unless name, shape and size are
/// those of `tensor`.
[[nodiscard]] inline std::vector<float> decode(io::ByteReader in, const std::string& where,
                                               const std::string& name,
                                               const Tensor<float>& tensor) {
  const std::string saved_name = in.get_text();
  const auto rank = in.get<std::uint32_t>();
  std::vector<std::uint64_t> extents(std::min<std::size_t>(rank, Shape::max_rank + 1));
  for (std::uint64_t& extent : extents) extent = in.get<std::uint64_t>();
  const auto same = [](std::uint64_t a, std::int64_t b) {
    return a == static_cast<std::uint64_t>(b);
  };
  if (saved_name != name || !std::ranges::equal(extents, tensor.shape(), same)) {
    throw FileError(concat(where, ": expected '", name, "' ", tensor.shape(), ", found '",
                           saved_name, "' [", join(extents), "]"));
  }
  std::vector<float> values = in.get_array<float>();
  if (in.failed() || static_cast<std::int64_t>(values.size()) != tensor.size()) {
    throw FileError(
        concat(where, " '", name, "': expected ", tensor.size(), " values, found ", values.size()));
  }
  return values;
}

}  // namespace detail

/// Writes the step and every tensor to `path`, atomically: a crash leaves the old checkpoint.
///
/// `configuration` is any text that says what the run is (network, data, options); resuming
/// requires the same text. Throws `FileError` when the file cannot be written.
inline void save_checkpoint(const std::string& path, std::string_view configuration,
                            std::int64_t step, const nn::Named<Tensor<float>>& tensors) {
  io::SectionFileWriter writer(detail::checkpoint_kind);
  io::ByteWriter header;
  header.put_text(configuration);
  header.put(static_cast<std::uint64_t>(step));
  header.put(static_cast<std::uint32_t>(tensors.size()));
  writer.add(detail::header_section, header.take());
  std::uint32_t index = 0;
  for (const auto& [name, tensor] : tensors) {
    writer.add({detail::tensor_section, index++}, detail::encode(name, *tensor));
  }
  if (const auto written = io::write_file(path, writer.finish()); !written) {
    throw FileError(written.error());
  }
}

/// Fills every tensor from `path` and returns the step at which it was saved.
///
/// Throws `FileError` for a damaged or foreign file, for another configuration, and when names or
/// shapes differ from the tensors of this run; the tensors are then unchanged.
[[nodiscard]] inline std::int64_t load_checkpoint(const std::string& path,
                                                  std::string_view configuration,
                                                  const nn::Named<Tensor<float>>& tensors) {
  const auto require = [](const auto& result) -> decltype(auto) {
    if (!result) throw FileError(result.error());
    return *result;
  };
  const auto mapped = io::MappedFile::open(path);
  const auto file = io::SectionFile::parse(require(mapped).bytes(), detail::checkpoint_kind, path);
  require(file);
  io::ByteReader header(require(file->section(detail::header_section)));
  const std::string saved_configuration = header.get_text();
  const auto step = header.get<std::uint64_t>();
  const auto count = header.get<std::uint32_t>();
  if (header.failed()) throw FileError(concat(path, ": the header section is too short"));
  if (saved_configuration != configuration) {
    throw FileError(concat(path, ": belongs to another run: it was saved by '", saved_configuration,
                           "', this run is '", configuration, "'"));
  }
  if (count != tensors.size()) {
    throw FileError(concat(path, ": expected ", tensors.size(), " tensors, found ", count));
  }
  std::vector<std::vector<float>> values;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& [name, tensor] = tensors[i];
    const io::ByteReader section(require(file->section({detail::tensor_section, i})));
    values.push_back(detail::decode(section, concat(path, ": tensor ", i), name, *tensor));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::ranges::copy(values[i], tensors[i].second->data());
  }
  return static_cast<std::int64_t>(step);
}

}  // namespace bitdial::inline BITDIAL_ABI::train
