// SPDX-License-Identifier: Apache-2.0
// Folders of image files with labels: one folder per class (ImageNet), Tiny ImageNet, or a list of
// labelled files. Files are read and decoded when an image is asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/data/directory.hpp>
#include <bitdial/data/file_bytes.hpp>
#include <bitdial/data/image_source.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Decodes the content of an image file into `memory` and returns its shape `[H, W, 3]`.
///
/// `source` is the file name for errors; throws `FileError` for a damaged image. Called by several
/// threads at a time. `decode_jpeg_file` of data/jpeg.hpp is one.
using ImageDecoder = std::function<Shape(std::span<const std::byte> bytes,
                                         const std::string& source, ImageMemory& memory)>;

/// Image files and what they show: one label in 0 .. classes - 1 per file.
struct ImageList {
  std::string name{};
  std::vector<std::string> files{};
  std::vector<std::int32_t> labels{};
  std::vector<std::string> class_names{};
};

/// The RGB images of a list, read and decoded on demand.
///
/// `size` is the height and width of every image where all have the same one (Tiny ImageNet: 64),
/// which is then checked; 0 where they differ. Throws `ConfigError` for an empty list and for
/// labels that do not fit; `read` throws `FileError` with the name of the file.
class ImageFiles final : public ImageSource {
 public:
  ImageFiles(ImageList list, ImageDecoder decode, std::int64_t size = 0,
             std::uint64_t max_file_bytes = std::uint64_t{1} << 26)
      : list_{std::move(list)},
        decode_{std::move(decode)},
        size_{size},
        max_file_bytes_{max_file_bytes} {
    if (list_.files.empty() || list_.files.size() != list_.labels.size()) {
      throw ConfigError(concat("image files '", list_.name,
                               "': expected files with one label each, ", "found ",
                               list_.files.size(), " files and ", list_.labels.size(), " labels"));
    }
    for (std::size_t i = 0; i < list_.labels.size(); ++i) {
      if (list_.labels[i] < 0 || list_.labels[i] >= classes()) {
        throw ConfigError(concat("image files '", list_.name, "': expected labels 0 .. ",
                                 classes() - 1, ", ", list_.files[i], " has label ",
                                 list_.labels[i]));
      }
    }
  }

  [[nodiscard]] const std::string& name() const noexcept override { return list_.name; }
  [[nodiscard]] std::int64_t size() const noexcept override {
    return static_cast<std::int64_t>(list_.files.size());
  }
  [[nodiscard]] const std::vector<std::string>& class_names() const noexcept override {
    return list_.class_names;
  }
  [[nodiscard]] std::int32_t label(std::int64_t index) const noexcept override {
    return list_.labels[static_cast<std::size_t>(index)];
  }
  [[nodiscard]] Shape image_shape() const noexcept override { return {size_, size_, 3}; }
  /// The name of the file of one image.
  [[nodiscard]] const std::string& file(std::int64_t index) const noexcept {
    return list_.files[static_cast<std::size_t>(index)];
  }

  [[nodiscard]] TensorView<const std::uint8_t> read(std::int64_t index,
                                                    ImageMemory& memory) const override {
    const std::string& path = file(index);
    const Shape shape = decode_(read_file(path, max_file_bytes_), path, memory);
    if (size_ != 0 && shape != image_shape()) {
      throw FileError(concat(path, ": expected an image ", image_shape(), ", found ", shape));
    }
    return {memory.data(), shape};
  }

 private:
  ImageList list_;
  ImageDecoder decode_;
  std::int64_t size_;
  std::uint64_t max_file_bytes_;
};

namespace detail {

/// Whether a name ends in .jpg or .jpeg, in any case.
[[nodiscard]] inline bool is_jpeg_name(std::string_view name) noexcept {
  const auto ends_in = [&](std::string_view ending) {
    return name.size() > ending.size() &&
           std::ranges::equal(name.substr(name.size() - ending.size()), ending, [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
           });
  };
  return ends_in(".jpg") || ends_in(".jpeg");
}

/// The position of `name` in the sorted `names`, or -1.
[[nodiscard]] inline std::int32_t index_in(const std::vector<std::string>& names,
                                           std::string_view name) noexcept {
  const auto found = std::ranges::lower_bound(
      names, name, {}, [](const std::string& each) { return std::string_view{each}; });
  if (found == names.end() || *found != name) return -1;
  return static_cast<std::int32_t>(found - names.begin());
}

}  // namespace detail

/// Folders `folder/<class>/<inner>/*.jpg`.
struct ClassFolders {
  std::string folder{};
  std::string inner{};                 ///< the folder below each class, or nothing
  std::vector<std::string> classes{};  ///< folder names, sorted; empty: every folder is a class
  std::string name = "images";
};

/// Lists the JPEG files of one folder per class; labels are places in the sorted folder names.
/// Files of one class are sorted by name. Throws `FileError` for a folder that cannot be listed and
/// for a class without images.
[[nodiscard]] inline ImageList list_class_folders(const ClassFolders& options) {
  ImageList list{.name = options.name, .class_names = options.classes};
  if (list.class_names.empty()) list.class_names = list_folder(options.folder).folders;
  if (list.class_names.empty()) {
    throw FileError(concat(options.folder, ": expected one folder per class, found none"));
  }
  for (std::size_t label = 0; label < list.class_names.size(); ++label) {
    std::string folder = options.folder + "/" + list.class_names[label];
    if (!options.inner.empty()) folder += "/" + options.inner;
    const std::size_t before = list.files.size();
    for (const std::string& file : list_folder(folder).files) {
      if (!detail::is_jpeg_name(file)) continue;
      list.files.push_back(folder + "/" + file);
      list.labels.push_back(static_cast<std::int32_t>(label));
    }
    if (list.files.size() == before) {
      throw FileError(concat(folder, ": expected JPEG files, found none"));
    }
  }
  return list;
}

/// Files of one folder whose classes a text file tells.
struct LabelledFiles {
  std::string folder{};
  std::string labels{};                ///< lines `<file> <class> ...`, blanks or tabs between
  std::vector<std::string> classes{};  ///< sorted
  std::string name = "images";
};

/// Lists the files of a text file of labels, in its order; labels are places in `classes`. Throws
/// `FileError`, with the line, for an unknown class and for names that leave the folder.
[[nodiscard]] inline ImageList list_labelled_files(const LabelledFiles& options) {
  ImageList list{.name = options.name, .class_names = options.classes};
  const auto word = [](std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const std::string_view found = line.substr(0, line.find_first_of(" \t"));
    line.remove_prefix(found.size());
    return found;
  };
  std::size_t number = 0;
  for (const std::string& text : text_lines(read_file(options.labels))) {
    ++number;
    std::string_view line = text;
    const std::string_view file = word(line);
    const std::string_view class_name = word(line);
    const std::int32_t label = detail::index_in(options.classes, class_name);
    if (!is_plain_name(file) || label < 0) {
      throw FileError(concat(options.labels, ": line ", number, ": expected '<file> <class>' with ",
                             "a plain file name and a known class, found '", file, "' '",
                             class_name, "'"));
    }
    list.files.push_back(concat(options.folder, "/", file));
    list.labels.push_back(label);
  }
  if (list.files.empty()) throw FileError(concat(options.labels, ": expected labels, found none"));
  return list;
}

/// The images to train on, or those to validate with.
enum class ImageFolderPart : std::uint8_t { train, validation };

/// ImageNet as it is commonly unpacked: `root/train/<wnid>/*.JPEG` and `root/val/<wnid>/*.JPEG`.
/// Classes are the sorted folder names of `train`, for both parts. Errors as above.
/// Deng et al., "ImageNet: a large-scale hierarchical image database", CVPR 2009.
[[nodiscard]] inline ImageList list_imagenet(const std::string& root, ImageFolderPart part) {
  return list_class_folders({.folder = root + (part == ImageFolderPart::train ? "/train" : "/val"),
                             .classes = list_folder(root + "/train").folders,
                             .name = "ImageNet"});
}

/// Tiny ImageNet in its official layout: `wnids.txt`, `words.txt`, `train/<wnid>/images/*.JPEG`,
/// `val/images/*.JPEG` with `val/val_annotations.txt`. 64 x 64 pixels, a few images are grey.
///
/// Labels are places in the sorted wnids; class names are the words of a wnid, or the wnid itself
/// where `words.txt` is absent or lacks it. Throws `FileError` as above.
/// Le and Yang, "Tiny ImageNet visual recognition challenge", 2015.
[[nodiscard]] inline ImageList list_tiny_imagenet(const std::string& root, ImageFolderPart part) {
  const std::string wnid_file = root + "/wnids.txt";
  std::vector<std::string> wnids = text_lines(read_file(wnid_file));
  std::ranges::sort(wnids);
  if (!std::ranges::all_of(wnids, is_plain_name) ||
      std::ranges::adjacent_find(wnids) != wnids.end() || wnids.empty()) {
    throw FileError(concat(wnid_file, ": expected one name of a class per line, each once"));
  }
  const std::string name = "Tiny ImageNet";
  ImageList list =
      part == ImageFolderPart::train
          ? list_class_folders(
                {.folder = root + "/train", .inner = "images", .classes = wnids, .name = name})
          : list_labelled_files({.folder = root + "/val/images",
                                 .labels = root + "/val/val_annotations.txt",
                                 .classes = wnids,
                                 .name = name});
  const std::string word_file = root + "/words.txt";
  if (!is_readable(word_file)) return list;
  for (const std::string& line : text_lines(read_file(word_file))) {
    const std::size_t tab = line.find('\t');
    const std::int32_t label = detail::index_in(wnids, std::string_view{line}.substr(0, tab));
    if (label < 0 || tab == std::string::npos) continue;
    list.class_names[static_cast<std::size_t>(label)] = line.substr(tab + 1);
  }
  return list;
}

}  // namespace bitdial::inline BITDIAL_ABI::data
