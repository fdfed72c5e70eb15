// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/random.hpp>
#include <bitdial/data/image_folder.hpp>
#include <bitdial/data/jpeg.hpp>
#include <bitdial/data/prefetch.hpp>

#include "scratch_folder.hpp"

using bitdial::FileError;
using bitdial::Random;
using bitdial::Shape;
using namespace bitdial::data;
using Bytes = std::vector<std::byte>;

namespace {

/// The values of a smooth picture in which every pixel differs.
int level(int y, int x, int channel) {
  return 40 + 6 * y + 4 * x + 20 * channel;
}

struct Encoding {
  int height = 9;
  int width = 13;
  int subsampling = TJSAMP_444;
  int flags = 0;
  bool cmyk = false;
};

/// A JPEG of that picture at quality 98. CMYK as Adobe writes it: inverted, key in the last byte.
Bytes encoded(const Encoding& as = {}) {
  const int channels = as.cmyk ? 4 : 3;
  std::vector<unsigned char> pixels;
  for (int y = 0; y < as.height; ++y) {
    for (int x = 0; x < as.width; ++x) {
      for (int c = 0; c < channels; ++c) {
        pixels.push_back(static_cast<unsigned char>(c == 3 ? 255 : level(y, x, c)));
      }
    }
  }
  const tjhandle handle = tjInitCompress();
  unsigned char* jpeg = nullptr;
  unsigned long size = 0;
  const int failed =
      tjCompress2(handle, pixels.data(), as.width, 0, as.height, as.cmyk ? TJPF_CMYK : TJPF_RGB,
                  &jpeg, &size, as.subsampling, 98, as.flags);
  REQUIRE(failed == 0);
  const auto* const first = reinterpret_cast<const std::byte*>(jpeg);
  Bytes bytes(first, first + size);
  tjFree(jpeg);
  tjDestroy(handle);
  return bytes;
}

std::string as_text(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string error_text(std::span<const std::byte> bytes) {
  ImageMemory memory;
  try {
    static_cast<void>(decode_jpeg(bytes, "file", memory));
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("an encoded picture comes back, from baseline, progressive and CMYK files") {
  for (const Encoding& as : {Encoding{}, Encoding{.flags = TJFLAG_PROGRESSIVE},
                             Encoding{.height = 1, .width = 1}, Encoding{.cmyk = true}}) {
    ImageMemory memory;
    REQUIRE(decode_jpeg(encoded(as), "x", memory) == Shape{as.height, as.width, 3});
    REQUIRE(memory.size() == static_cast<std::size_t>(as.height * as.width * 3));
    int worst = 0;
    std::size_t at = 0;
    for (int y = 0; y < as.height; ++y) {
      for (int x = 0; x < as.width; ++x) {
        for (int c = 0; c < 3; ++c)
          worst = std::max(worst, std::abs(memory[at++] - level(y, x, c)));
      }
    }
    CHECK(worst <= 6);
  }
}

TEST_CASE("a grey file has three equal channels") {
  ImageMemory memory;
  REQUIRE(decode_jpeg(encoded({.subsampling = TJSAMP_GRAY}), "x", memory) == Shape{9, 13, 3});
  for (std::size_t i = 0; i < memory.size(); i += 3) {
    CHECK(memory[i] == memory[i + 1]);
    CHECK(memory[i] == memory[i + 2]);
  }
}

TEST_CASE("what is no JPEG says what it is") {
  CHECK(error_text({}) == "file: expected a JPEG, found an empty file");
  const Bytes png{std::byte{0x89}, std::byte{'P'}, std::byte{'N'}, std::byte{'G'}};
  CHECK(error_text(png) == "file: expected a JPEG, found a PNG");
  CHECK(error_text(Bytes(100)) == "file: expected a JPEG, found another format");
}

TEST_CASE("a file that ends anywhere before its last bytes is damaged") {
  for (const int flags : {0, TJFLAG_PROGRESSIVE}) {
    const Bytes whole = encoded({.flags = flags});
    for (std::size_t size = 2; size + 2 < whole.size(); ++size) {
      CAPTURE(size);
      const std::string text = error_text(std::span{whole}.first(size));
      CHECK(text.starts_with("file: expected "));
      CHECK(error_text(whole) == "no error");  // nothing is left over from the damaged one
    }
  }
}

TEST_CASE("a header that claims a huge image is refused before memory is taken") {
  Bytes bytes = encoded();
  for (std::size_t i = 0; i + 9 < bytes.size(); ++i) {
    if (bytes[i] == std::byte{0xFF} && bytes[i + 1] == std::byte{0xC0}) {
      for (std::size_t k = 5; k < 9; ++k) bytes[i + k] = std::byte{0xEE};
    }
  }
  CHECK(error_text(bytes) ==
        "file: expected an image of at most 67108864 pixels, found 61166 x 61166");
  ImageMemory memory;
  CHECK_THROWS_AS(static_cast<void>(decode_jpeg(encoded(), "x", memory, 9 * 13 - 1)), FileError);
  CHECK(decode_jpeg(encoded(), "x", memory, 9 * 13) == Shape{9, 13, 3});
}

TEST_CASE("damaged bytes give an error or an image, never anything else") {
  const Bytes whole = encoded({.height = 32, .width = 32, .flags = TJFLAG_PROGRESSIVE});
  const Bytes baseline = encoded({.height = 32, .width = 32});
  ImageMemory memory;
  int refused = 0;
  for (std::uint64_t round = 0; round < 400; ++round) {
    Random random(1, round);
    Bytes bytes = round % 2 == 0 ? whole : baseline;
    for (std::uint32_t i = 0; i <= random.below(4); ++i) {
      bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] =
          static_cast<std::byte>(random.below(256));
    }
    try {
      const Shape shape = decode_jpeg(bytes, "x", memory, 1 << 20);
      CHECK(static_cast<std::int64_t>(memory.size()) == shape.size());
    } catch (const FileError&) {
      ++refused;
    }
  }
  CHECK(refused > 20);
}

TEST_CASE("workers decode a folder; a damaged file is named, or counted and left out") {
  const scratch::Folder folder;
  for (int i = 0; i < 30; ++i) {
    const Bytes image = encoded({.height = 8 + i, .width = 40 - i});
    const std::string text = as_text(image);
    folder.write("class" + std::to_string(i % 3) + "/" + std::to_string(100 + i) + ".jpg",
                 i == 17 ? text.substr(0, text.size() / 2) : text);
  }
  const ImageFiles images(list_class_folders({.folder = folder.path()}), &decode_jpeg_file);
  const std::string damaged = folder.path() + "/class2/117.jpg";
  LoaderOptions options{.batch_size = 10, .images = {.size = 16}};
  for (const int workers : {0, 1, 3}) {
    PrefetchingLoader strict(BatchLoader(images, options), {.workers = workers});
    std::string text = "no error";
    for (std::int64_t batch = 0; batch < 3; ++batch) {
      try {
        const Batch& loaded = strict.get(0, batch);
        CHECK(loaded.size() == 10);
      } catch (const FileError& error) {
        text = error.what();
      }
    }
    CHECK(text.starts_with(damaged + ": expected a JPEG, found damage: "));

    LoaderOptions lenient = options;
    lenient.skip_damaged = true;
    PrefetchingLoader skipping(BatchLoader(images, lenient), {.workers = workers});
    std::int64_t shown = 0;
    std::vector<std::string> left_out;
    for (std::int64_t batch = 0; batch < 3; ++batch) {
      const Batch& loaded = skipping.get(0, batch);
      shown += loaded.size();
      left_out.insert(left_out.end(), loaded.damaged.begin(), loaded.damaged.end());
    }
    CHECK(shown == 29);
    REQUIRE(left_out.size() == 1);
    CHECK(left_out[0] == text);
  }
}

TEST_CASE("the real Tiny ImageNet, 25 of its classes") {
  const std::string archive = scratch::shared_archive("tiny-imagenet-25.tar.xz");
  const scratch::Folder folder;
  if (archive.empty() || !scratch::unpack(archive, folder)) {
    MESSAGE("skipped: no tiny-imagenet-25.tar.xz, or tar cannot unpack it");
    return;
  }
  const std::string root = folder.path() + "/tiny-imagenet-25";
  const ImageFiles train(list_tiny_imagenet(root, ImageFolderPart::train), &decode_jpeg_file, 64);
  const ImageFiles validation(list_tiny_imagenet(root, ImageFolderPart::validation),
                              &decode_jpeg_file, 64);
  CHECK(train.size() == 12500);
  CHECK(validation.size() == 1250);
  CHECK(train.classes() == 25);
  CHECK(train.class_names()[0] == "goldfish, Carassius auratus");
  CHECK(validation.class_names() == train.class_names());

  // Every image decodes; goldfish are redder than the mean image, whose levels are known well.
  for (const ImageFiles* part : {&train, &validation}) {
    PrefetchingLoader loader(
        BatchLoader(*part, {.batch_size = 250, .shuffle = false, .keep_partial = true}),
        {.workers = 2});
    double mean[3] = {};
    std::vector<std::int64_t> counts(25);
    for (std::int64_t b = 0; b < part->size() / 250; ++b) {
      const Batch& batch = loader.get(0, b);
      const auto values = batch.images.span();
      for (std::size_t i = 0; i < values.size(); ++i) mean[i % 3] += static_cast<double>(values[i]);
      for (const std::int32_t label : batch.labels) ++counts[static_cast<std::size_t>(label)];
    }
    for (const std::int64_t count : counts) CHECK(count == part->size() / 25);
    const double known[3] = {0.480, 0.448, 0.398};  // of all 200 classes
    for (std::size_t c = 0; c < 3; ++c) {
      CHECK(mean[c] / (4096.0 * static_cast<double>(part->size())) ==
            doctest::Approx(known[c]).epsilon(0.08));
    }
  }
}
