// SPDX-License-Identifier: Apache-2.0
// Trains one switchable network with several processes:
//
//   mpirun -n 4 distributed --out run --steps 200
//
// Process 0 writes checkpoints and the final weights. `--help` lists the options.
#include <charconv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <bitdial/data/synthetic.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/train/checkpoint.hpp>
#include <bitdial/train/distributed_mpi.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>

namespace {

namespace train = bitdial::train;

volatile std::sig_atomic_t stopped = 0;

struct Options {
  std::string out = "distributed-out";
  long steps = 100;
  long batch = 32;  // of all processes together
  long checkpoint_every = 10;
  bool resume = false;
  bool share_statistics = true;
  bool quantize = true;
  bool help = false;
};

constexpr const char* usage =
    "usage: mpirun -n PROCESSES distributed [options]\n"
    "  --out FOLDER          checkpoints and final weights (distributed-out)\n"
    "  --steps N             steps of the optimizer (100)\n"
    "  --batch N             images of a step, a multiple of the number of processes (32)\n"
    "  --checkpoint-every N  steps from one checkpoint to the next (10)\n"
    "  --resume              go on from the last checkpoint, with the same number of processes\n"
    "  --own-statistics      keep the batch normalisation statistics of each process apart\n"
    "  --full-precision      train without quantizers\n"
    "  --help                print this\n";

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto value = [&] {
      if (i + 1 == argc) throw std::invalid_argument(std::string{name} + " needs a value");
      return std::string{argv[++i]};
    };
    const auto number = [&] {
      const std::string text = value();
      long result = 0;
      const char* const end = text.data() + text.size();
      if (std::from_chars(text.data(), end, result).ptr != end || result < 1) {
        throw std::invalid_argument(std::string{name} + " needs a number from 1 on, got " + text);
      }
      return result;
    };
    if (name == "--out") {
      options.out = value();
    } else if (name == "--steps") {
      options.steps = number();
    } else if (name == "--batch") {
      options.batch = number();
    } else if (name == "--checkpoint-every") {
      options.checkpoint_every = number();
    } else if (name == "--resume") {
      options.resume = true;
    } else if (name == "--own-statistics") {
      options.share_statistics = false;
    } else if (name == "--full-precision") {
      options.quantize = false;
    } else if (name == "--help") {
      options.help = true;
    } else {
      throw std::invalid_argument("unknown option " + std::string{name});
    }
  }
  return options;
}

// Each process tells its number, so that one can be found from outside.
void write_process_number(const Options& options, int rank) {
  const std::string text = std::to_string(getpid());
  if (!bitdial::io::write_file(options.out + "/process-" + std::to_string(rank),
                               std::as_bytes(std::span{text}))) {
    throw std::runtime_error("cannot write to " + options.out);
  }
}

// Weights and statistics one after the other, as plain floats: to compare two runs.
void write_numbers(const std::string& path,
                   const bitdial::nn::Named<bitdial::Tensor<float>>& tensors) {
  std::vector<float> numbers;
  for (const auto& [name, tensor] : tensors) {
    numbers.insert(numbers.end(), tensor->span().begin(), tensor->span().end());
  }
  if (!bitdial::io::write_file(path, std::as_bytes(std::span{numbers}))) {
    throw std::runtime_error("cannot write " + path);
  }
}

// The images of a step that each process shows.
long share_of_batch(const Options& options, int processes) {
  const long share = options.batch / processes;
  if (share * processes == options.batch) return share;
  throw std::invalid_argument("--batch needs a multiple of the number of processes, " +
                              std::to_string(processes) + ", got " + std::to_string(options.batch) +
                              "; the next one is " + std::to_string((share + 1) * processes));
}

void run(const Options& options, train::MpiPeers& peers) {
  const long share = share_of_batch(options, peers.count());
  std::filesystem::create_directories(options.out);
  write_process_number(options, peers.rank());
  const auto images = bitdial::data::make_synthetic({.count = 2000, .size = 16, .channels = 3});
  auto network = bitdial::models::resnet_cifar<bitdial::BitList<8, 4, 2>>(
      {.depth = 8, .width = 8, .in_channels = 3, .classes = 10});
  bitdial::nn::initialize(*network, 1);
  std::vector<bitdial::PrecisionPlan> plans{bitdial::Precision{8, 8}, bitdial::Precision{2, 2}};
  if (!options.quantize) plans = {bitdial::Precision{32, 32}};
  bitdial::add_plans(*network, plans);
  train::Sgd optimizer(bitdial::nn::parameters(*network));
  train::Trainer trainer(*network, images, optimizer,
                         {.plans = plans,
                          .epochs = options.steps,
                          .batch_size = share,
                          .learning_rate = train::ConstantSchedule{.rate = 0.05F},
                          .augment = {.shift = 1, .flip = true},
                          .peers = &peers});
  const std::string checkpoint = options.out + "/checkpoint.bin";
  const std::string configuration = "distributed " + std::to_string(options.batch);
  const auto save = [&](const std::string& path) {
    if (peers.rank() == 0) {
      train::save_checkpoint(path, configuration, trainer.position(), trainer.state());
    }
  };
  if (options.resume && peers.rank() == 0) {
    trainer.set_position(train::load_checkpoint(checkpoint, configuration, trainer.state()));
  }
  trainer.share_state();
  while (trainer.position() < options.steps) {
    const train::StepReport report = trainer.step();
    if (trainer.position() % options.checkpoint_every == 0) {
      save(checkpoint);
      if (peers.rank() == 0) {
        std::printf("step %ld: loss %.4f\n", static_cast<long>(report.step),
                    static_cast<double>(report.losses[0]));
        std::fflush(stdout);
      }
    }
  }
  save(options.out + "/final.bin");
  if (peers.rank() == 0) write_numbers(options.out + "/final.f32", trainer.state());
}

}  // namespace

int main(int argc, char** argv) {
  // `mpirun` ends the others with SIGTERM when one process is gone.
  std::signal(SIGTERM, [](int) { stopped = 1; });
  Options options;
  try {
    options = parse(argc, argv);
    if (options.help) return std::fputs(usage, stdout) < 0 ? 1 : 0;
    train::MpiPeers peers(
        argc, argv,
        {.share_statistics = options.share_statistics, .interrupted = [] { return stopped != 0; }});
    run(options, peers);
    return 0;
  } catch (const train::PeerError& error) {
    std::fprintf(stderr,
                 "error: %s\nThe last checkpoint is %s/checkpoint.bin; --resume goes on "
                 "from there.\n",
                 error.what(), options.out.c_str());
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "error: %s\n%s", error.what(), usage);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
  }
  return 1;
}
