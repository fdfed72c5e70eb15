// SPDX-License-Identifier: Apache-2.0
// Reader of files of fixed records: label bytes, then one planar image. CIFAR is stored like this,
// and so can any small data set be: SVHN, digits, crops of a camera.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/data/dataset.hpp>
#include <bitdial/data/file_bytes.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// One record: a byte per label, then `channels` planes of `height` rows of `width` bytes.
struct RecordLayout {
  std::int64_t height = 32;
  std::int64_t width = 32;
  std::int64_t channels = 3;
  std::vector<int> classes = {10};  ///< of each label byte; all labels are checked
  std::size_t label = 0;            ///< which of them counts

  [[nodiscard]] std::size_t bytes() const noexcept {
    return classes.size() + static_cast<std::size_t>(height * width * channels);
  }
};

/// The images `[N, height, width, channels]` and labels of one file.
struct LabelledRecords {
  Tensor<std::uint8_t> images;
  std::vector<std::int32_t> labels;
};

/// The records of a file in memory, planes interleaved to NHWC.
///
/// `source` is the file name for errors. Throws `FileError` for an empty file, a size that is not a
/// whole number of records, and a label out of range; `ConfigError` for a layout without image or
/// label.
[[nodiscard]] inline LabelledRecords parse_records(std::span<const std::byte> bytes,
                                                   std::string_view source,
                                                   const RecordLayout& layout) {
  if (layout.height < 1 || layout.width < 1 || layout.channels < 1 ||
      layout.label >= layout.classes.size()) {
    throw ConfigError(concat(source, ": expected records of at least one pixel and one label, got ",
                             layout.height, " x ", layout.width, " x ", layout.channels, " and ",
                             layout.classes.size(), " labels, of which number ", layout.label,
                             " counts"));
  }
  const std::size_t record = layout.bytes();
  if (bytes.empty() || bytes.size() % record != 0) {
    throw FileError(concat(source, ": expected whole records of ", record, " bytes, found ",
                           bytes.size(), " bytes",
                           bytes.empty() ? std::string{" (empty file)"}
                                         : concat(" = ", bytes.size() / record, " records and ",
                                                  bytes.size() % record, " bytes")));
  }
  const std::size_t count = bytes.size() / record;
  const auto pixels = static_cast<std::size_t>(layout.height * layout.width);
  const auto channels = static_cast<std::size_t>(layout.channels);
  LabelledRecords records{Tensor<std::uint8_t>({static_cast<std::int64_t>(count), layout.height,
                                                layout.width, layout.channels}),
                          {}};
  records.labels.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* from = bytes.data() + i * record;
    for (std::size_t position = 0; position < layout.classes.size(); ++position) {
      const std::int32_t value = std::to_integer<std::int32_t>(*from++);
      if (value >= layout.classes[position]) {
        throw FileError(concat(source, ": expected labels below ", layout.classes[position],
                               ", record ", i, " has label ", value));
      }
      if (position == layout.label) records.labels.push_back(value);
    }
    std::uint8_t* to = records.images.data() + i * channels * pixels;
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      for (std::size_t channel = 0; channel < channels; ++channel) {
        *to++ = std::to_integer<std::uint8_t>(from[channel * pixels + pixel]);
      }
    }
  }
  return records;
}

/// The files of a data set of records, read in the given order.
struct RecordFiles {
  RecordLayout layout = {};
  std::vector<std::string> files = {};
  std::vector<std::string> class_names = {};  ///< empty: numbers
  std::string name = "records";
  std::uint64_t max_bytes = default_file_limit;  ///< per file
};

/// Reads one data set from several files. Throws as `parse_records` does, and `ConfigError` without
/// files or with another number of class names.
///
/// SVHN, whose own files are MATLAB's, is a record per digit of `RecordLayout{}` (docs/data.md).
[[nodiscard]] inline Dataset read_records(const RecordFiles& files,
                                          const FileReader& read = &read_file) {
  if (files.files.empty()) {
    throw ConfigError(concat("read_records: expected at least one file for '", files.name, "'"));
  }
  std::vector<LabelledRecords> parts;
  std::int64_t count = 0;
  for (const std::string& path : files.files) {
    parts.push_back(parse_records(read(path, files.max_bytes), path, files.layout));
    count += parts.back().images.extent(0);
  }
  const int classes = files.layout.classes[files.layout.label];
  std::vector<std::string> names =
      files.class_names.empty() ? numbered_classes(classes) : files.class_names;
  if (std::ssize(names) != classes) {
    throw ConfigError(concat("read_records: expected ", classes, " class names for '", files.name,
                             "', got ", names.size()));
  }
  Tensor<std::uint8_t> images(parts.front().images.shape().with(0, count));
  std::vector<std::int32_t> labels;
  std::uint8_t* to = images.data();
  for (const LabelledRecords& part : parts) {
    to = std::copy_n(part.images.data(), part.images.size(), to);
    labels.insert(labels.end(), part.labels.begin(), part.labels.end());
  }
  return {files.name, std::move(images), std::move(labels), std::move(names)};
}

}  // namespace bitdial::inline BITDIAL_ABI::data
