// SPDX-License-Identifier: Apache-2.0
// The public types by name only, for headers that pass them by reference or pointer.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

class Shape;
template <class T>
class TensorView;
template <class T>
class Tensor;
class Random;
template <class T>
class Result;
struct Failure;

class Error;
class ShapeError;
class PrecisionError;
class ConfigError;
class FileError;

struct Precision;
class PrecisionPlan;
struct IntegerLevels;
template <class Policy>
class Quantizer;
struct DoReFaWeights;
struct DoReFaActivations;
struct TanhActivations;
struct TwoSidedActivations;
struct LogWeights;
struct LogActivations;
struct SignWeights;
struct SignActivations;
struct AdaBitsWeights;

template <class T>
class BasicTape;
template <class T>
class BasicVar;
using Tape = BasicTape<float>;
using Var = BasicVar<float>;

template <int Bits, class Layout>
class QTensor;
template <int... Bits>
struct BitList;
template <class Layer, class Bits, class WeightPolicy, class ActivationPolicy, class Key>
class SwitchableLayer;
template <class Key>
class SwitchableBatchNorm;

class Model;
class Session;

}  // namespace bitdial::inline BITDIAL_ABI

namespace bitdial::inline BITDIAL_ABI::nn {

class Module;
class ModuleVisitor;
class QuantizedLayer;
class PlanFollower;
struct Parameter;
class Conv2d;
class Linear;
class Sequential;
class Residual;
class Concat;

}  // namespace bitdial::inline BITDIAL_ABI::nn

namespace bitdial::inline BITDIAL_ABI::data {

class Dataset;
class BatchLoader;

}  // namespace bitdial::inline BITDIAL_ABI::data

namespace bitdial::inline BITDIAL_ABI::train {

class Optimizer;
class Sgd;
class Adam;
class Trainer;
class Progress;

}  // namespace bitdial::inline BITDIAL_ABI::train
