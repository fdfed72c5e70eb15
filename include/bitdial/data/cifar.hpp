// SPDX-License-Identifier: Apache-2.0
// Reader of the binary versions of CIFAR-10 and CIFAR-100: records of label bytes and one planar
// 32 x 32 RGB image. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
#pragma once

#include <span>
#include <string_view>

#include <bitdial/data/dataset.hpp>
#include <bitdial/data/file_bytes.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Which data set a file belongs to and which of its labels to use.
enum class CifarKind {
  cifar10,          ///< 1 label byte, 10 classes
  cifar100_fine,    ///< 2 label bytes, the second one counts: 100 classes
  cifar100_coarse,  ///< 2 label bytes, the first one counts: 20 superclasses
};

/// The number of classes of a kind.
[[nodiscard]] constexpr int cifar_classes(CifarKind kind) noexcept {
  switch (kind) {
    case CifarKind::cifar10:
      return 10;
    case CifarKind::cifar100_fine:
      return 100;
    case CifarKind::cifar100_coarse:
      return 20;
  }
  return 0;
}

/// The images and labels of one file; `images` is `[N, 32, 32, 3]`.
struct CifarRecords {
  Tensor<std::uint8_t> images;
  std::vector<std::int32_t> labels;
};

/// The records of a binary CIFAR file in memory, RGB planes interleaved to NHWC.
///
/// `source` is the file name for errors. Throws `FileError` for an empty file, a size that is not a
/// whole number of records, and a label out of range (both labels of CIFAR-100 are checked).
[[nodiscard]] inline CifarRecords parse_cifar(std::span<const std::byte> bytes,
                                              std::string_view source, CifarKind kind) {
  constexpr std::size_t pixels = 32 * 32;
  const std::size_t label_bytes = kind == CifarKind::cifar10 ? 1 : 2;
  const std::size_t record = label_bytes + 3 * pixels;
  if (bytes.empty() || bytes.size() % record != 0) {
    throw FileError(concat(source, ": expected whole records of ", record, " bytes, found ",
                           bytes.size(), " bytes",
                           bytes.empty() ? std::string{" (empty file)"}
                                         : concat(" = ", bytes.size() / record, " records and ",
                                                  bytes.size() % record, " bytes")));
  }
  const std::size_t count = bytes.size() / record;
  CifarRecords records{Tensor<std::uint8_t>({static_cast<std::int64_t>(count), 32, 32, 3}), {}};
  records.labels.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* from = bytes.data() + i * record;
    const auto label = [&](std::size_t position, int classes) {
      const std::int32_t value = std::to_integer<std::int32_t>(from[position]);
      if (value >= classes) {
        throw FileError(concat(source, ": expected labels below ", classes, ", record ", i,
                               " has label ", value));
      }
      return value;
    };
    if (kind == CifarKind::cifar10) {
      records.labels.push_back(label(0, 10));
    } else {
      const std::int32_t coarse = label(0, 20);
      const std::int32_t fine = label(1, 100);
      records.labels.push_back(kind == CifarKind::cifar100_fine ? fine : coarse);
    }
    std::uint8_t* to = records.images.data() + i * 3 * pixels;
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      for (std::size_t channel = 0; channel < 3; ++channel) {
        to[3 * pixel + channel] =
            std::to_integer<std::uint8_t>(from[label_bytes + channel * pixels + pixel]);
      }
    }
  }
  return records;
}

/// The files of a CIFAR data set, read in the given order.
struct CifarFiles {
  CifarKind kind = CifarKind::cifar10;
  std::vector<std::string> files = {};
  std::string class_names = {};  ///< a text file with one name per line; empty: see `read_cifar`
  std::string name = "cifar";
  std::uint64_t max_bytes = default_file_limit;  ///< per file
};

/// Reads one data set from several files. Without a file of class names, CIFAR-10 has its ten
/// usual names and CIFAR-100 numbers. Throws `FileError` as `parse_cifar` does, and for a wrong
/// number of class names; `ConfigError` without files.
[[nodiscard]] inline Dataset read_cifar(const CifarFiles& files,
                                        const FileReader& read = &read_file) {
  if (files.files.empty()) {
    throw ConfigError(concat("read_cifar: expected at least one file for '", files.name, "'"));
  }
  const int classes = cifar_classes(files.kind);
  std::vector<std::string> names;
  if (!files.class_names.empty()) {
    names = text_lines(read(files.class_names, files.max_bytes));
    if (static_cast<int>(names.size()) != classes) {
      throw FileError(
          concat(files.class_names, ": expected ", classes, " class names, found ", names.size()));
    }
  } else if (files.kind == CifarKind::cifar10) {
    names = {"airplane", "automobile", "bird",  "cat",  "deer",
             "dog",      "frog",       "horse", "ship", "truck"};
  } else {
    names = numbered_classes(classes);
  }
  std::vector<CifarRecords> parts;
  std::int64_t count = 0;
  for (const std::string& path : files.files) {
    parts.push_back(parse_cifar(read(path, files.max_bytes), path, files.kind));
    count += parts.back().images.extent(0);
  }
  Tensor<std::uint8_t> images({count, 32, 32, 3});
  std::vector<std::int32_t> labels;
  std::uint8_t* to = images.data();
  for (const CifarRecords& part : parts) {
    to = std::copy_n(part.images.data(), part.images.size(), to);
    labels.insert(labels.end(), part.labels.begin(), part.labels.end());
  }
  return {files.name, std::move(images), std::move(labels), std::move(names)};
}

}  // namespace bitdial::inline BITDIAL_ABI::data
