// SPDX-License-Identifier: Apache-2.0
// Throughput of the kernels and of whole matrix products, per instruction set, against the peak
// that the same machine reaches at the same moment. The peaks are records as well:
// `peak/avx2/u8s8`.
//
//   bench_kernels [--quick] [--json FILE] [--benchmark_filter=REGEX]
//                 [other Google Benchmark options]
#include <benchmark/benchmark.h>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/deploy/linux_sensors.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/ops/qgemm.hpp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_case.hpp"
#include "peaks.hpp"
#include "product_cases.hpp"
#include "record.hpp"
#include "sampling.hpp"

namespace {

using namespace bench;

#if defined(NDEBUG) && defined(__OPTIMIZE__)
constexpr bool optimised_build = true;
#else
constexpr bool optimised_build = false;
#endif
#if defined(__clang__)
constexpr const char* compiler = __VERSION__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

constexpr const char* usage =
    "bench_kernels [--quick] [--json FILE] [options of Google Benchmark]\n"
    "          --quick      3 short repetitions of every kernel in the place of 7\n"
    "          --json FILE  write one JSON object per line to this file\n\n";

// ---- single tiles: operands in the first-level cache

void add_tiles(const KernelTable& t) {
  constexpr std::int64_t depth = 512;
  if (has_own(t, &RealKernels::gemm_f32)) {
    const auto& kernel = real_kernels_of(t).gemm_f32;
    const auto a = filled<float>(kernel.rows * (depth + 16), -2, 5);
    const auto b = filled<float>(depth * kernel.cols, -2, 5);
    auto c = filled<float>(kernel.rows * kernel.cols, 0, 1);
    add({.kernel = "tile_f32",
         .isa = t.name,
         .bits = "32x32",
         .shape = shape_text(kernel.rows, kernel.cols, depth),
         .work = static_cast<double>(kernel.rows * kernel.cols * depth),
         .peak = &PeakLoops::f32,
         .run = [kernel, a, b, c]() mutable {
           kernel.run({.rows = kernel.rows,
                       .cols = kernel.cols,
                       .depth = depth,
                       .a = a.data(),
                       .a_stride = depth + 16,
                       .b = b.data(),
                       .b_step = kernel.cols,
                       .c = c.data(),
                       .c_stride = kernel.cols});
         }});
  }
  add_u8s8_tiles(t);
  add_bf16_tile(t);
  add_lookup_tiles(t);
  if (!has_own(t, &KernelTable::gemm_planes)) return;
  constexpr std::int64_t words = 72;  // of 32 codes
  for (const auto& [w_bits, a_bits] : {std::pair{1, 1}, {1, 2}, {2, 2}, {4, 4}}) {
    const auto& kernel = t.gemm_planes;
    constexpr std::int64_t plane = words * 4;
    const auto a = filled_bits(kernel.rows * (plane * a_bits + 64) / 8);
    const auto b = filled_bits(plane * w_bits * kernel.cols / 8);
    auto c = filled<std::int32_t>(kernel.rows * kernel.cols, 0, 1);
    add({.kernel = "tile_planes",
         .isa = t.name,
         .bits = bitdial::concat(w_bits, "x", a_bits),
         .shape = shape_text(kernel.rows, kernel.cols, words * 32),
         .work = static_cast<double>(kernel.rows * kernel.cols * words * 32),
         .peak = &PeakLoops::bits,
         .peak_work = double{1} * w_bits * a_bits,
         .run = [kernel, a, b, c, a_bits = a_bits, w_bits = w_bits]() mutable {
           kernel.run({.rows = kernel.rows,
                       .cols = kernel.cols,
                       .words = words,
                       .a_planes = a_bits,
                       .b_planes = w_bits,
                       .a = reinterpret_cast<const std::uint8_t*>(a.data()),
                       .a_stride = plane * a_bits + 64,
                       .plane_stride = plane,
                       .b = reinterpret_cast<const std::uint32_t*>(b.data()),
                       .c = c.data(),
                       .c_stride = kernel.cols});
         }});
  }
}

// ---- element-wise kernels: 16 Ki elements, G elements/s in the GMAC/s column

void add_elementwise(const KernelTable& t) {
  constexpr std::int64_t count = 16384;
  auto x = filled<float>(count, -10000, 60000);
  for (float& value : x.span()) value /= 6000.0F;  // few of them on a threshold
  const auto sums = filled<std::int32_t>(count, -3000, 6000);
  const auto codes = filled<std::uint8_t>(count, 0, 256);
  const std::string shape = bitdial::concat(count);
  const auto each = [&](const char* kernel, const char* bits, std::function<void()> run) {
    add({.kernel = kernel,
         .isa = t.name,
         .bits = bits,
         .shape = shape,
         .work = static_cast<double>(count),
         .run = std::move(run)});
  };
  each("quantize", "8", [&t, x, out = codes]() mutable {
    t.quantize({.x = x.data(), .count = count, .steps = {.clip = 6.0F}, .codes = out.data()});
  });
  each("quantize_thresholds", "8",
       [&t, x, out = codes, thresholds = filled<float>(256, 0, 1)]() mutable {
         for (std::size_t i = 0; i < 256; ++i) thresholds[i] = 0.04F * static_cast<float>(i);
         t.quantize({.x = x.data(),
                     .count = count,
                     .steps = {.thresholds = thresholds.data(),
                               .count = 255,
                               .line_factor = 25.0F,
                               .line_constant = 0.5F,
                               .line_margin = 1e-4F},
                     .codes = out.data()});
       });
  constexpr std::int64_t rows = 128, cols = count / rows;
  each("requantize", "8", [&t, sums, x, out = codes]() mutable {
    t.requantize({.rows = rows,
                  .cols = cols,
                  .sums = sums.data(),
                  .sums_stride = cols,
                  .scale = x.data(),
                  .bias = x.data(),
                  .relu = true,
                  .factor = 2,
                  .row_terms = sums.data(),
                  .codes = out.data(),
                  .codes_stride = cols,
                  .steps = {.clip = 6.0F}});
  });
  each("pack_codes", "4",
       [&t, codes, out = codes]() mutable { t.pack_codes(codes.data(), count, 4, out.data()); });
  each("unpack_codes", "4",
       [&t, codes, out = codes]() mutable { t.unpack_codes(codes.data(), count, 4, out.data()); });
  each("pack_planes", "2", [&t, codes, out = filled_bits(2 * count / 64)]() mutable {
    t.pack_planes({.codes = codes.data(),
                   .count = count,
                   .bits = 2,
                   .planes = out.data(),
                   .plane_stride = count / 64});
  });
}

// ---- whole products, packing included

struct Extents {
  std::int64_t m, n, k;
};
constexpr Extents product_shapes[] = {
    {3136, 64, 576}, {784, 128, 1152}, {196, 256, 2304}, {512, 512, 512}};

void add_products(const KernelTable& t) {
  for (const auto& [m, n, k] : product_shapes) {
    const double work = static_cast<double>(m * n * k);
    const std::string shape = shape_text(m, n, k);
    if (has_own(t, &RealKernels::gemm_f32))
      add({.kernel = "gemm_f32",
           .isa = t.name,
           .bits = "32x32",
           .shape = shape,
           .work = work,
           .peak = &PeakLoops::f32,
           .run = [&t, m = m, n = n, k = k, a = filled<float>(m * k, -2, 5),
                   b = filled<float>(k * n, -2, 5), c = filled<float>(m * n, 0, 1)]() mutable {
             bitdial::ops::gemm<float>(
                 MatrixView<const float>(a.data(), m, k), MatrixView<const float>(b.data(), k, n),
                 MatrixView<float>(c.data(), m, n), {.table = &real_kernels_of(t)});
           }});

    if (has_own(t, &KernelTable::gemm_u8s8)) {
      add({.kernel = "qgemm_u8s8",
           .isa = t.name,
           .bits = "8x8",
           .shape = shape,
           .work = work,
           .peak = &PeakLoops::u8s8,
           .run = u8s8_product(t, m, n, k)});
    }
    add_lookup_products(t, m, n, k);
    add_bf16_product(t, m, n, k);
    if (!has_own(t, &KernelTable::gemm_planes)) continue;
    const std::int64_t words = (k + 63) / 64;
    for (const auto& [w_bits, a_bits] : {std::pair{1, 1}, {1, 2}, {2, 2}}) {
      using bitdial::ops::PackedPlanes;
      const auto rows = filled_bits(n * words * w_bits);
      const PackedPlanes planes_shape{.n = n, .words = (k + 31) / 32, .planes = w_bits};
      AlignedBuffer<std::byte> planes(PackedPlanes::bytes(t, planes_shape));
      static_cast<void>(PackedPlanes::pack(
          t, planes_shape, MatrixView<const std::uint64_t>(rows.data(), n, words * w_bits),
          planes.span()));
      AlignedBuffer<std::byte> memory(
          bitdial::ops::qgemm_planes_scratch_bytes(t, planes_shape, a_bits));
      add({.kernel = "qgemm_planes",
           .isa = t.name,
           .bits = bitdial::concat(w_bits, "x", a_bits),
           .shape = shape,
           .work = work,
           .peak = &PeakLoops::bits,
           .peak_work = double{1} * w_bits * a_bits,
           .run = [&t, m = m, n = n, w_bits = w_bits, a_bits = a_bits,
                   a = filled_bits(m * words * a_bits), planes, planes_shape, memory,
                   c = filled<std::int32_t>(m * n, 0, 1)]() mutable {
             PackedPlanes weights = planes_shape;
             weights.data = reinterpret_cast<const std::uint32_t*>(planes.data());
             bitdial::ops::qgemm_planes(
                 t, m, {.a = a_bits, .b = w_bits},
                 [&](std::int64_t row0, MatrixView<std::uint64_t> panel) {
                   for (std::int64_t i = 0; i < panel.rows; ++i) {
                     std::copy_n(a.data() + (row0 + i) * panel.cols, panel.cols, panel.row(i));
                   }
                 },
                 weights,
                 [&](const bitdial::ops::QgemmTile& tile) {
                   for (std::int64_t i = 0; i < tile.rows; ++i) {
                     std::copy_n(tile.row(i), tile.cols,
                                 c.data() + (tile.row0 + i) * n + tile.col0);
                   }
                 },
                 memory.span());
           }});
    }
  }
}

/// "8x8" as "w8a8", "32x32" as "f32"; other words as they are.
std::string precision_text(const std::string& bits) {
  const std::size_t cross = bits.find('x');
  if (cross == std::string::npos) return bits;
  if (bits == "32x32") return "f32";
  return bitdial::concat("w", bits.substr(0, cross), "a", bits.substr(cross + 1));
}

/// One record per benchmark: the median over its repetitions. In the end one per peak: the median
/// of what the benchmarks were held against.
class RecordReporter : public benchmark::BenchmarkReporter {
 public:
  explicit RecordReporter(RecordWriter& writer) : writer_{&writer} {}

  bool ReportContext(const Context&) override {
    writer_->header();
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    // The name is kernel/isa/bits/shape.
    const std::string& name = runs.front().run_name.function_name;
    const std::size_t isa = name.find('/') + 1;
    const std::size_t bits = name.find('/', isa) + 1;
    const std::size_t shape = name.find('/', bits) + 1;
    Samples rates, shares, ratios;
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      rates.add(run.counters.at("GMAC/s").value);
      shares.add(run.counters.at("share").value);
      const auto ratio = run.counters.find("times_u8s8");
      if (ratio != run.counters.end()) ratios.add(ratio->second.value);
      if (run.report_label.empty()) continue;
      peaks_[name.substr(isa, bits - 1 - isa)][run.report_label].add(run.counters.at("peak").value);
    }
    if (rates.count() == 0) return;
    const std::string widths = name.substr(bits, shape - 1 - bits);
    const bool counts_macs = widths.find('x') != std::string::npos;
    const bool has_peak = shares.median() > 0.0;
    writer_->write({.kind = "kernel",
                    .name = name.substr(0, bits) + name.substr(shape),
                    .precision = precision_text(widths),
                    .value = rates.median(),
                    .unit = counts_macs ? "GMAC/s" : "G/s",
                    .spread = rates.spread(),
                    .peak_share = has_peak ? shares.median() : -1.0,
                    .gmacs = counts_macs ? rates.median() : -1.0,
                    .times_u8s8 = ratios.count() > 0 ? ratios.median() : -1.0});
  }

  void Finalize() override {
    for (const auto& [isa, rates] : peaks_) {
      for (const PeakName& peak : peak_names) {
        const auto found = rates.find(peak.name);
        if (found == rates.end()) continue;
        writer_->write({.kind = "kernel",
                        .name = bitdial::concat("peak/", isa, "/", peak.name),
                        .precision = std::string{peak.precision},
                        .value = found->second.median(),
                        .unit = std::string{peak.unit},
                        .spread = found->second.spread()});
      }
    }
  }

 private:
  RecordWriter* writer_;
  std::map<std::string, std::map<std::string, Samples, std::less<>>> peaks_;  // by isa and name
};

}  // namespace

int main(int argc, char** argv) {
  if (!optimised_build) {
    std::fprintf(stderr,
                 "bench_kernels: this build is not optimised (NDEBUG or -O is missing), so its "
                 "numbers would mean nothing. Build with CMAKE_BUILD_TYPE=Release.\n");
    return 2;
  }
  std::vector<std::string> arguments;
  std::string json;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument{argv[i]};
    if (argument == "--json") {
      if (i + 1 == argc) {
        std::fprintf(stderr, "bench_kernels: --json needs a file\n");
        return 2;
      }
      json = argv[++i];
    } else if (argument == "--quick") {
      sampling = {.repetitions = 3, .seconds = 0.004};
    } else {
      if (argument == "--help") {  // Google Benchmark prints its own options and ends the program
        std::printf("%s", usage);
        std::fflush(stdout);
      }
      arguments.emplace_back(argv[i]);
    }
  }
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;

  const auto selected = bitdial::kernels::select_kernels();
  if (!selected) {
    std::fprintf(stderr, "bench_kernels: %s\n", selected.error().c_str());
    return 2;
  }
  std::printf("cpu: %s\ncompiler: %s, optimised, NDEBUG\nisa: %s of ",
              bitdial::LinuxSensors{}.cpu_model().c_str(), compiler, (*selected)->name);
  for (const KernelTable* t : bitdial::kernels::supported_kernels()) std::printf("%s ", t->name);
  std::printf(
      "\none thread, medians of %d repetitions; peak: the same instructions without memory,"
      " measured before each repetition\n\n",
      sampling.repetitions);

  for (const KernelTable* t : bitdial::kernels::supported_kernels()) {
    if (std::string_view{t->name} == "scalar_odd") continue;
    add_tiles(*t);
    if (has_own(*t, &KernelTable::gemm_planes)) add_elementwise(*t);
    if (std::string_view{t->name} != "scalar") {
      add_products(*t);
      add_row_products(*t);
    }
  }
  try {
    RecordWriter writer{json};
    RecordReporter reporter{writer};
    benchmark::RunSpecifiedBenchmarks(&reporter);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_kernels: %s\n", error.what());
    return 1;
  }
  benchmark::Shutdown();
  return 0;
}
