// SPDX-License-Identifier: Apache-2.0
// Throughput of the kernels and of whole matrix products, per instruction set, against the peak
// that the same machine reaches at the same moment.
//
//   bench_kernels [--json FILE] [--benchmark_filter=REGEX] [other Google Benchmark options]
#include <benchmark/benchmark.h>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/ops/qgemm.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_case.hpp"
#include "peaks.hpp"
#include "product_cases.hpp"

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

// ---- single tiles: operands in the first-level cache

void add_tiles(const KernelTable& t, const PeakLoops& peaks) {
  constexpr std::int64_t depth = 512;
  if (has_own(t, &KernelTable::gemm_f32)) {
    const auto& kernel = t.gemm_f32;
    const auto a = filled<float>(kernel.rows * (depth + 16), -2, 5);
    const auto b = filled<float>(depth * kernel.cols, -2, 5);
    auto c = filled<float>(kernel.rows * kernel.cols, 0, 1);
    add({.kernel = "tile_f32",
         .isa = t.name,
         .bits = "32x32",
         .shape = shape_text(kernel.rows, kernel.cols, depth),
         .work = static_cast<double>(kernel.rows * kernel.cols * depth),
         .peak = peaks.f32,
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
  if (has_own(t, &KernelTable::gemm_u8s8)) {
    const auto& kernel = t.gemm_u8s8;
    const auto a = filled<std::uint8_t>(kernel.rows * (depth + 64), 0, 256);
    const auto b = filled<std::int8_t>(depth * kernel.cols, -128, 256);
    auto c = filled<std::int32_t>(kernel.rows * kernel.cols, 0, 1);
    add({.kernel = "tile_u8s8",
         .isa = t.name,
         .bits = "8x8",
         .shape = shape_text(kernel.rows, kernel.cols, depth),
         .work = static_cast<double>(kernel.rows * kernel.cols * depth),
         .peak = peaks.u8s8,
         .run = [kernel, a, b, c]() mutable {
           kernel.run({.rows = kernel.rows,
                       .cols = kernel.cols,
                       .groups = depth / 4,
                       .a = a.data(),
                       .a_stride = depth + 64,
                       .b = b.data(),
                       .c = c.data(),
                       .c_stride = kernel.cols});
         }});
  }
  add_bf16_tile(t, peaks);
  add_lookup_tiles(t, peaks);
  if (!has_own(t, &KernelTable::gemm_planes)) return;
  constexpr std::int64_t words = 36;
  for (const auto& [w_bits, a_bits] : {std::pair{1, 1}, {1, 2}, {2, 2}, {4, 4}}) {
    const auto& kernel = t.gemm_planes;
    const auto a = filled_bits(kernel.rows * (words * a_bits + 8));
    const auto b = filled_bits(words * w_bits * kernel.cols);
    auto c = filled<std::int32_t>(kernel.rows * kernel.cols, 0, 1);
    add({.kernel = "tile_planes",
         .isa = t.name,
         .bits = bitdial::concat(w_bits, "x", a_bits),
         .shape = shape_text(kernel.rows, kernel.cols, words * 64),
         .work = static_cast<double>(kernel.rows * kernel.cols * words * 64),
         .peak = peaks.bits,
         .peak_work = double{1} * w_bits * a_bits,
         .run = [kernel, a, b, c, a_bits = a_bits, w_bits = w_bits]() mutable {
           kernel.run({.rows = kernel.rows,
                       .cols = kernel.cols,
                       .words = words,
                       .a_planes = a_bits,
                       .b_planes = w_bits,
                       .a = reinterpret_cast<const std::uint8_t*>(a.data()),
                       .a_stride = (words * a_bits + 8) * 8,
                       .plane_stride = words * 8,
                       .b = b.data(),
                       .c = c.data(),
                       .c_stride = kernel.cols});
         }});
  }
}

// ---- element-wise kernels: 16 Ki elements, G elements/s in the GMAC/s column

void add_elementwise(const KernelTable& t) {
  constexpr std::int64_t count = 16384;
  const auto x = filled<float>(count, -2, 12);
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
    t.quantize({.x = x.data(), .count = count, .clip = 6.0F, .codes = out.data()});
  });
  each("requantize", "32", [&t, sums, x, y = x]() mutable {
    t.requantize({.sums = sums.data(),
                  .count = count,
                  .scale = x.data(),
                  .bias = x.data(),
                  .relu = true,
                  .y = y.data()});
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

void add_products(const KernelTable& t, const PeakLoops& peaks) {
  for (const auto& [m, n, k] : product_shapes) {
    const double work = static_cast<double>(m * n * k);
    const std::string shape = shape_text(m, n, k);
    if (has_own(t, &KernelTable::gemm_f32))
      add({.kernel = "gemm_f32",
           .isa = t.name,
           .bits = "32x32",
           .shape = shape,
           .work = work,
           .peak = peaks.f32,
           .run = [&t, m = m, n = n, k = k, a = filled<float>(m * k, -2, 5),
                   b = filled<float>(k * n, -2, 5), c = filled<float>(m * n, 0, 1)]() mutable {
             bitdial::ops::gemm<float>(MatrixView<const float>(a.data(), m, k),
                                       MatrixView<const float>(b.data(), k, n),
                                       MatrixView<float>(c.data(), m, n), {.table = &t});
           }});

    if (has_own(t, &KernelTable::gemm_u8s8)) {
      add({.kernel = "qgemm_u8s8",
           .isa = t.name,
           .bits = "8x8",
           .shape = shape,
           .work = work,
           .peak = peaks.u8s8,
           .run = u8s8_product(t, m, n, k)});
    }
    add_lookup_products(t, peaks, m, n, k);
    add_bf16_product(t, peaks, m, n, k);
    if (!has_own(t, &KernelTable::gemm_planes)) continue;
    const std::int64_t words = (k + 63) / 64;
    for (const auto& [w_bits, a_bits] : {std::pair{1, 1}, {1, 2}, {2, 2}}) {
      using bitdial::ops::PackedPlanes;
      const auto rows = filled_bits(n * words * w_bits);
      AlignedBuffer<std::byte> planes(PackedPlanes::bytes(t, n, words, w_bits));
      static_cast<void>(
          PackedPlanes::pack(t, MatrixView<const std::uint64_t>(rows.data(), n, words * w_bits),
                             w_bits, planes.span()));
      AlignedBuffer<std::byte> memory(
          bitdial::ops::qgemm_planes_scratch_bytes(t, n, words, a_bits));
      add({.kernel = "qgemm_planes",
           .isa = t.name,
           .bits = bitdial::concat(w_bits, "x", a_bits),
           .shape = shape,
           .work = work,
           .peak = peaks.bits,
           .peak_work = double{1} * w_bits * a_bits,
           .run = [&t, m = m, n = n, words, w_bits = w_bits, a_bits = a_bits,
                   a = filled_bits(m * words * a_bits), planes, memory,
                   c = filled<std::int32_t>(m * n, 0, 1)]() mutable {
             const PackedPlanes weights{reinterpret_cast<const std::uint64_t*>(planes.data()), n,
                                        words, w_bits};
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

/// One line per benchmark: the medians over the repetitions.
class TableReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    std::printf("%-14s %-11s %-6s %-16s %10s %10s %7s %7s\n", "kernel", "isa", "bits", "shape",
                "GMAC/s", "peak", "share", "x u8s8");
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Aggregate || run.aggregate_name != "median") continue;
      const std::string& name = run.run_name.function_name;
      std::vector<std::string> parts;
      for (std::size_t at = 0; at <= name.size();) {
        const std::size_t end = std::min(name.find('/', at), name.size());
        parts.push_back(name.substr(at, end - at));
        at = end + 1;
      }
      parts.resize(4);
      const double peak = run.counters.at("peak").value;
      std::printf("%-14s %-11s %-6s %-16s %10.2f ", parts[0].c_str(), parts[1].c_str(),
                  parts[2].c_str(), parts[3].c_str(), run.counters.at("GMAC/s").value);
      if (peak > 0.0) {
        std::printf("%10.1f %6.1f%%", peak, 100.0 * run.counters.at("share").value);
      } else {
        std::printf("%10s %7s", "-", "-");
      }
      const auto ratio = run.counters.find("times_u8s8");
      if (ratio != run.counters.end()) std::printf(" %7.2f", ratio->second.value);
      std::printf("\n");
      std::fflush(stdout);
    }
  }
};

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

int main(int argc, char** argv) {
  if (!optimised_build) {
    std::fprintf(stderr,
                 "bench_kernels: this build is not optimised (NDEBUG or -O is missing), so its "
                 "numbers would mean nothing. Build with CMAKE_BUILD_TYPE=Release.\n");
    return 2;
  }
  std::vector<std::string> arguments;
  for (int i = 0; i < argc; ++i) {
    if (std::string_view{argv[i]} == "--json" && i + 1 < argc) {
      arguments.push_back(bitdial::concat("--benchmark_out=", argv[++i]));
      arguments.emplace_back("--benchmark_out_format=json");
    } else {
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
  std::printf("cpu: %s\ncompiler: %s, optimised, NDEBUG\nisa: %s of ", cpu_name().c_str(), compiler,
              (*selected)->name);
  for (const KernelTable* t : bitdial::kernels::supported_kernels()) std::printf("%s ", t->name);
  std::printf(
      "\none thread, medians of %d repetitions; peak: the same instructions without memory,"
      " measured before each repetition\n\n",
      repetitions);
  benchmark::AddCustomContext("cpu", cpu_name());
  benchmark::AddCustomContext("compiler", compiler);
  benchmark::AddCustomContext("isa", (*selected)->name);

  for (const KernelTable* t : bitdial::kernels::supported_kernels()) {
    const PeakLoops peaks = peaks_of(t->name);
    if (std::string_view{t->name} == "scalar_odd") continue;
    add_tiles(*t, peaks);
    if (has_own(*t, &KernelTable::gemm_planes)) add_elementwise(*t);
    if (std::string_view{t->name} != "scalar") {
      add_products(*t, peaks);
      add_row_products(*t);
    }
  }
  TableReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
  return 0;
}
