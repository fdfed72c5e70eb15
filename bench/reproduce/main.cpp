// SPDX-License-Identifier: Apache-2.0
// Puts one claim of a paper to the test: trains the networks that it compares, prints a table, and
// writes CLAIM.csv and CLAIM.txt.
//
//   reproduce CLAIM --data DIR [--out DIR] [--epochs N] [--seeds N,N,...] [--train-images N] ...
//
// `run.sh` beside this file builds it, finds the data and draws the chart.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bitdial/core/parallel.hpp>
#include <bitdial/deploy/linux_sensors.hpp>
#include <bitdial/io/write_file.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/train/table.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "claim.hpp"

namespace {

using reproduce::Claim, reproduce::Row, reproduce::Settings;

std::vector<Claim> all_claims() {
  return {reproduce::shared_against_independent(),
          reproduce::self_distillation(),
          reproduce::switchable_batch_norm(),
          reproduce::consistency(),
          reproduce::collaborative_teacher(),
          reproduce::one_bit_weights(),
          reproduce::nested_store(),
          reproduce::searched_plan(),
          reproduce::default_quantizers()};
}

void add_options(CLI::App& command, const Claim& claim, Settings& settings) {
  command.add_option("--data", settings.data, "the folder cifar-100-binary")
      ->required()
      ->check(CLI::ExistingDirectory);
  command.add_option("--out", settings.out, "where the results go")->capture_default_str();
  command.add_option("--classes", settings.classes, "the first classes of CIFAR-100")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  command.add_option("--train-images", settings.train_images, "images to train with, at most")
      ->check(CLI::Range(1, 50000))
      ->capture_default_str();
  command.add_option("--test-images", settings.test_images, "images to test with, at most")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command.add_option("--epochs", settings.epochs, "epochs of every run")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command.add_option("--batch", settings.batch, "images per step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command.add_option("--width", settings.width, "channels of the first stage; ResNet-20 has 16")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--rate", settings.rate, "highest learning rate")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--seeds", settings.seeds, "each is a repetition: 1,2,3")
      ->delimiter(',')
      ->capture_default_str();
  if (claim.chooses_quantizers) {
    command.add_option("--quantizers", settings.quantizers, "between first and last layer")
        ->check(CLI::IsMember({"pact", "dorefa", "hwgq"}))
        ->capture_default_str();
  }
  if (!claim.searches_latency) return;
  command
      .add_option("--latency", settings.latency,
                  "a table of an earlier run or of bench_layer_latency; none: measures one")
      ->check(CLI::ExistingFile);
}

/// The rows of a claim as a table; columns that no row fills are left out.
bitdial::train::Table table_of(const std::vector<Row>& rows) {
  namespace train = bitdial::train;
  struct Optional {
    const char* title;
    double Row::*value;
    int digits;
  };
  std::vector<Optional> optional{{"bytes", &Row::bytes, 0},
                                 {"ms", &Row::milliseconds, 4},
                                 {"bit_operations_1e9", &Row::bit_operations, 4}};
  std::erase_if(optional, [&](const Optional& column) {
    return std::ranges::all_of(rows, [&](const Row& row) { return row.*column.value < 0.0; });
  });
  std::vector<train::TableColumn> columns{
      {"arm", train::Align::left}, {"seed"}, {"precision", train::Align::left}, {"top1"}};
  for (const Optional& column : optional) columns.push_back({column.title});
  train::Table table(columns);
  for (const Row& row : rows) {
    std::vector<std::string> cells{row.arm, bitdial::concat(row.seed), row.precision,
                                   train::fixed(row.top1, 4)};
    for (const Optional& column : optional) {
      const double value = row.*column.value;
      cells.push_back(value < 0.0 ? "" : train::fixed(value, column.digits));
    }
    table.add_row(std::move(cells));
  }
  return table;
}

std::string machine() {
  const auto kernels = bitdial::kernels::select_kernels();
  return bitdial::concat(bitdial::LinuxSensors{}.cpu_model(), ", ", bitdial::thread_count(),
                         " threads, ", kernels ? (*kernels)->name : "no kernels");
}

void write(const std::string& path, const std::string& text) {
  const auto written = bitdial::io::write_file(path, std::as_bytes(std::span{text}));
  if (!written) throw bitdial::FileError(written.error());
}

/// Everything that the result depends on, as a command.
std::string command_of(const Claim& claim, const Settings& s) {
  return bitdial::concat("bench/reproduce/run.sh ", claim.name, " --classes ", s.classes,
                         " --train-images ", s.train_images, " --test-images ", s.test_images,
                         " --epochs ", s.epochs, " --batch ", s.batch, " --width ", s.width,
                         " --rate ", s.rate, " --seeds ", bitdial::join(s.seeds, ","),
                         claim.chooses_quantizers ? " --quantizers " + s.quantizers : "",
                         s.latency.empty() ? "" : " --latency " + s.latency);
}

void put_to_the_test(const Claim& claim, const Settings& settings) {
  std::filesystem::create_directories(settings.out);
  std::printf("%s\n  %s\n", std::string(claim.text).c_str(), std::string(claim.source).c_str());
  const auto begin = std::chrono::steady_clock::now();
  const std::string base = settings.out + '/' + std::string(claim.name);
  std::vector<Row> rows;
  claim.run(settings, [&](const Row& row) {
    rows.push_back(row);
    write(base + ".csv", to_csv(table_of(rows)));  // a run that is cut off keeps what it has
  });
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::string summary = bitdial::concat(
      "claim: ", claim.text, " (", claim.source, ")\nfound: ", claim.finding(rows),
      "\nsmall: ", settings.train_images, " training images of ", settings.classes,
      " classes of CIFAR-100, ", settings.epochs, " epochs, ", settings.seeds.size(),
      settings.seeds.size() == 1 ? " seed" : " seeds", ", ", claim.networks(settings),
      "; published results train on all of it for hundreds "
      "of epochs\nmachine: ",
      machine(), ", ", bitdial::train::duration(seconds),
      "\ncommand: ", command_of(claim, settings), '\n');
  std::printf("\n%s\n%s", to_text(table_of(rows)).c_str(), summary.c_str());
  write(base + ".txt", summary);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Claim> claims = all_claims();
  std::vector<Settings> settings;
  for (const Claim& claim : claims) settings.push_back(claim.defaults);
  CLI::App app{"Puts one claim of a paper to the test."};
  app.add_flag_callback(
      "--list",
      [&] {
        for (const Claim& claim : claims) std::printf("%s\n", std::string(claim.name).c_str());
        std::exit(0);
      },
      "the names of all claims");
  app.require_subcommand(1);
  for (std::size_t i = 0; i < claims.size(); ++i) {
    CLI::App* const command =
        app.add_subcommand(std::string(claims[i].name), std::string(claims[i].text));
    add_options(*command, claims[i], settings[i]);
    command->callback([&, i] { put_to_the_test(claims[i], settings[i]); });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "reproduce: %s\n", error.what());
    return 1;
  }
  return 0;
}
