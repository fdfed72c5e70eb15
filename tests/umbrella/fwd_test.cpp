// SPDX-License-Identifier: Apache-2.0
#include <bitdial/fwd.hpp>

// Every name is usable before its definition is known, and is the one that is defined later.
template <class... Incomplete>
struct Declared {
  static constexpr int count = sizeof...(Incomplete);
};

namespace bitdial::inline BITDIAL_ABI {
struct BitPlanes;
struct KeyByPair;
}  // namespace bitdial::inline BITDIAL_ABI

namespace b = bitdial;

using Names =
    Declared<b::Shape, b::TensorView<float>, b::Tensor<float>, b::Random, b::Result<int>,
             b::Failure, b::Error, b::ShapeError, b::PrecisionError, b::ConfigError, b::FileError,
             b::Precision, b::PrecisionPlan, b::IntegerLevels, b::Quantizer<b::DoReFaWeights>,
             b::DoReFaWeights, b::DoReFaActivations, b::TanhActivations, b::TwoSidedActivations,
             b::LogWeights, b::LogActivations, b::SignWeights, b::SignActivations,
             b::AdaBitsWeights, b::Tape, b::Var, b::BitList<8, 4>, b::QTensor<4, b::BitPlanes>,
             b::SwitchableLayer<b::nn::Conv2d, b::BitList<8, 4>, b::DoReFaWeights,
                                b::DoReFaActivations, b::KeyByPair>,
             b::Model, b::Session, b::nn::Module, b::nn::ModuleVisitor, b::nn::QuantizedLayer,
             b::nn::Parameter, b::nn::Conv2d, b::nn::Linear, b::nn::Sequential, b::nn::Residual,
             b::data::Dataset, b::data::BatchLoader, b::train::Optimizer, b::train::Sgd,
             b::train::Adam, b::train::Trainer, b::train::Progress>;

// The umbrella comes second on purpose: it defines what the lines above only name.
#include <doctest/doctest.h>
#include <bitdial/bitdial.hpp>

namespace {

template <class... Complete>
constexpr bool all_defined(Declared<Complete...>) {
  return ((sizeof(Complete) > 0) && ...);
}

}  // namespace

TEST_CASE("every forward declaration has its definition in the umbrella") {
  static_assert(all_defined(Names{}));
  CHECK(Names::count > 0);
}
