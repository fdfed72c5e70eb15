// SPDX-License-Identifier: Apache-2.0
// Images per second of the loader alone, for several numbers of workers: small images in memory,
// and JPEG files of the size of ImageNet's, cropped to 224 x 224 with colour changes.
//
//   bench_loader [--seconds S] [--json FILE]
#include <CLI/CLI.hpp>
#include <bitdial/data/image_folder.hpp>
#include <bitdial/data/prefetch.hpp>
#include <bitdial/data/synthetic.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#if defined(BITDIAL_BENCH_JPEG)
#  include <bitdial/data/jpeg.hpp>
#endif

#include "record.hpp"
#include "sampling.hpp"

namespace {

namespace data = bitdial::data;

void measure(const std::string& name, const data::ImageSource& images,
             const data::LoaderOptions& options, double seconds, bench::RecordWriter& writer) {
  for (const int workers : {0, 1, 2}) {
    data::PrefetchingLoader loader(data::BatchLoader(images, options), {.workers = workers});
    const std::int64_t per_epoch = loader.loader().batches_per_epoch();
    std::int64_t step = 0;
    const auto one_batch = [&] {
      loader.get(step / per_epoch, step % per_epoch);
      ++step;
    };
    for (int i = 0; i < 4; ++i) one_batch();  // until every buffer exists
    const std::int64_t calls = bench::calls_for(seconds / 7.0, one_batch);
    bench::Samples samples;
    for (int i = 0; i < 7; ++i) {
      samples.add(static_cast<double>(options.batch_size) /
                  bench::seconds_per_call(calls, one_batch));
    }
    writer.write({.kind = "training",
                  .name = bitdial::concat("loader ", name, ", workers ", workers),
                  .precision = "f32",
                  .threads = workers == 0 ? bitdial::thread_count() : workers,
                  .batch = options.batch_size,
                  .value = samples.median(),
                  .unit = "images/s",
                  .spread = samples.spread()});
  }
}

#if defined(BITDIAL_BENCH_JPEG)
/// A folder of JPEG files of 500 x 375 pixels, quality 90, gone at the end.
class JpegFolder {
 public:
  explicit JpegFolder(std::int64_t count) : JpegFolder() {
    std::filesystem::create_directories(path_ / "class");
    const tjhandle handle = tjInitCompress();
    data::ImageMemory pixels(500 * 375 * 3);
    data::ResampleMemory memory;
    const data::Dataset small = data::make_synthetic({.count = count, .size = 96, .channels = 3});
    for (std::int64_t i = 0; i < count; ++i) {
      data::ImageMemory unused;
      data::resample(small.read(i, unused), {.height = 96, .width = 96}, 375, 500, memory, pixels);
      unsigned char* jpeg = nullptr;
      unsigned long size = 0;
      if (tjCompress2(handle, pixels.data(), 500, 0, 375, TJPF_RGB, &jpeg, &size, TJSAMP_420, 90,
                      0) != 0) {
        throw bitdial::Error(tjGetErrorStr2(handle));
      }
      const std::filesystem::path file = path_ / "class" / bitdial::concat(i, ".jpg");
      std::ofstream out(file, std::ios::binary);
      out.write(reinterpret_cast<const char*>(jpeg), static_cast<std::streamsize>(size));
      out.close();
      tjFree(jpeg);
      if (!out) throw bitdial::Error(bitdial::concat(file.string(), ": cannot be written"));
    }
    tjDestroy(handle);
  }
  JpegFolder(const JpegFolder&) = delete;
  JpegFolder& operator=(const JpegFolder&) = delete;
  ~JpegFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  /// An empty folder, which is gone at the end even if it cannot be filled.
  JpegFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "bitdial-loader-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw bitdial::Error(bitdial::concat(name, ": cannot be made"));
    }
    path_ = name;
  }

  std::filesystem::path path_;
};
#endif

void run(double seconds, const std::string& json) {
  bench::RecordWriter writer{json};
  writer.header();
  const data::Dataset small = data::make_synthetic({.count = 10000, .size = 32, .channels = 3});
  measure("bytes32x32", small, {.batch_size = 128, .augment = {.shift = 4, .flip = true}}, seconds,
          writer);
#if defined(BITDIAL_BENCH_JPEG)
  const JpegFolder folder(256);
  const data::ImageFiles files(data::list_class_folders({.folder = folder.path()}),
                               &data::decode_jpeg_file);
  measure("jpeg500x375 to 224", files,
          {.batch_size = 32,
           .images = {.size = 224},
           .augment = {.flip = true, .crop = data::RandomResizedCrop{}}},
          seconds, writer);
  measure("jpeg500x375 to 224, colours", files,
          {.batch_size = 32,
           .images = {.size = 224, .normalisation = data::imagenet_normalisation()},
           .augment = {.flip = true,
                       .crop = data::RandomResizedCrop{},
                       .jitter = {.brightness = 0.4F, .contrast = 0.4F, .saturation = 0.4F},
                       .lighting = 0.1F}},
          seconds, writer);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 2.0;
  std::string json;
  CLI::App app{"Images per second of the loader alone."};
  app.add_option("--seconds", seconds, "per number")->capture_default_str();
  app.add_option("--json", json, "write one JSON object per line to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    run(seconds, json);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
