// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/image_folder.hpp>

#include "scratch_folder.hpp"

using bitdial::ConfigError;
using bitdial::FileError;
using bitdial::Shape;
using namespace bitdial::data;

namespace {

/// "Decodes" files of one byte: a 2 x 2 image of that byte.
Shape decode_byte(std::span<const std::byte> bytes, const std::string& source,
                  ImageMemory& memory) {
  if (bytes.size() != 1) throw FileError(source + ": expected one byte");
  memory.assign(12, std::to_integer<std::uint8_t>(bytes[0]));
  return {2, 2, 3};
}

template <class Function>
std::string error_text(Function function) {
  try {
    function();
  } catch (const bitdial::Error& error) {
    return error.what();
  }
  return "no error";
}

/// A Tiny ImageNet of two classes.
void write_tiny(const scratch::Folder& folder) {
  folder.write("wnids.txt", "n2\nn1\n");
  folder.write("words.txt", "n0\tnobody\nn1\tone, eins\r\n");
  folder.write("train/n1/images/n1_1.JPEG", "a");
  folder.write("train/n1/images/n1_0.JPEG", "b");
  folder.write("train/n1/n1_boxes.txt", "n1_0.JPEG\t0\t0\t1\t1\n");
  folder.write("train/n2/images/n2_0.JPEG", "c");
  folder.write("val/images/val_0.JPEG", "d");
  folder.write("val/images/val_1.JPEG", "e");
  folder.write("val/val_annotations.txt", "val_1.JPEG\tn2\t0\t0\t5\t5\nval_0.JPEG n1\n");
}

}  // namespace

TEST_CASE("one folder per class: sorted classes, sorted files, other files left out") {
  const scratch::Folder folder;
  folder.write("b/2.jpg", "2");
  folder.write("b/1.JPEG", "1");
  folder.write("b/notes.txt", "x");
  folder.write("b/.hidden.jpg", "x");
  folder.write("b/.jpg", "x");
  folder.write("a/9.JpG", "9");
  folder.write("readme.jpg", "x");
  const ImageList list = list_class_folders({.folder = folder.path(), .name = "letters"});
  const std::string at = folder.path() + "/";
  CHECK(list.files == std::vector<std::string>{at + "a/9.JpG", at + "b/1.JPEG", at + "b/2.jpg"});
  CHECK(list.labels == std::vector<std::int32_t>{0, 1, 1});
  CHECK(list.class_names == std::vector<std::string>{"a", "b"});

  const ImageFiles images(list, decode_byte);
  CHECK(images.name() == "letters");
  CHECK(images.size() == 3);
  CHECK(images.classes() == 2);
  CHECK(images.label(2) == 1);
  CHECK(images.image_shape() == Shape{0, 0, 3});
  ImageMemory memory;
  CHECK(images.read(1, memory)(0, 1, 2) == '1');
  CHECK(images.read(0, memory)(1, 1, 0) == '9');
}

TEST_CASE("a link is what it leads to; one that leads nowhere is nothing") {
  const scratch::Folder folder;
  folder.write("real/1.jpg", "1");
  std::filesystem::create_symlink(folder.path() + "/real", folder.path() + "/link");
  std::filesystem::create_symlink(folder.path() + "/absent", folder.path() + "/real/2.jpg");
  const ImageList list = list_class_folders({.folder = folder.path()});
  CHECK(list.class_names == std::vector<std::string>{"link", "real"});
  CHECK(list.files.size() == 2);
}

TEST_CASE("folders that are not there or empty") {
  const scratch::Folder folder;
  const std::string absent = folder.path() + "/absent";
  CHECK(error_text([&] { static_cast<void>(list_class_folders({.folder = absent})); }) ==
        absent + ": cannot list the folder: No such file or directory");
  CHECK(error_text([&] { static_cast<void>(list_class_folders({.folder = folder.path()})); }) ==
        folder.path() + ": expected one folder per class, found none");
  folder.write("a/notes.txt", "x");
  CHECK(error_text([&] { static_cast<void>(list_class_folders({.folder = folder.path()})); }) ==
        folder.path() + "/a: expected JPEG files, found none");
}

TEST_CASE("an image that cannot be read or decoded is named") {
  const scratch::Folder folder;
  folder.write("a/1.jpg", "12");
  folder.write("a/2.jpg", "2");
  const ImageList list = list_class_folders({.folder = folder.path()});
  ImageMemory memory;
  const ImageFiles images(list, decode_byte);
  CHECK(error_text([&] { static_cast<void>(images.read(0, memory)); }) ==
        folder.path() + "/a/1.jpg: expected one byte");
  const ImageFiles sized(list, decode_byte, 3);
  CHECK(error_text([&] { static_cast<void>(sized.read(1, memory)); }) ==
        folder.path() + "/a/2.jpg: expected an image [3, 3, 3], found [2, 2, 3]");
  const ImageFiles limited(list, decode_byte, 0, 1);
  CHECK(error_text([&] { static_cast<void>(limited.read(0, memory)); }) ==
        folder.path() + "/a/1.jpg: expected at most 1 bytes, found more");
  std::filesystem::remove(folder.path() + "/a/2.jpg");
  CHECK(error_text([&] { static_cast<void>(images.read(1, memory)); }) ==
        folder.path() + "/a/2.jpg: cannot open: No such file or directory");
}

TEST_CASE("lists that do not fit are refused") {
  CHECK_THROWS_AS(ImageFiles({}, decode_byte), ConfigError);
  CHECK_THROWS_AS(
      ImageFiles({.files = {"a", "b"}, .labels = {0}, .class_names = {"x"}}, decode_byte),
      ConfigError);
  CHECK(error_text([] {
          ImageFiles({.name = "n", .files = {"a"}, .labels = {1}, .class_names = {"x"}},
                     decode_byte);
        }) == "image files 'n': expected labels 0 .. 0, a has label 1");
}

TEST_CASE("Tiny ImageNet: images to train on and to validate with") {
  const scratch::Folder folder;
  write_tiny(folder);
  const std::string at = folder.path() + "/";
  const ImageList train = list_tiny_imagenet(folder.path(), ImageFolderPart::train);
  CHECK(train.files == std::vector<std::string>{at + "train/n1/images/n1_0.JPEG",
                                                at + "train/n1/images/n1_1.JPEG",
                                                at + "train/n2/images/n2_0.JPEG"});
  CHECK(train.labels == std::vector<std::int32_t>{0, 0, 1});
  CHECK(train.class_names == std::vector<std::string>{"one, eins", "n2"});
  const ImageList validation = list_tiny_imagenet(folder.path(), ImageFolderPart::validation);
  CHECK(validation.files ==
        std::vector<std::string>{at + "val/images/val_1.JPEG", at + "val/images/val_0.JPEG"});
  CHECK(validation.labels == std::vector<std::int32_t>{1, 0});
  CHECK(validation.class_names == train.class_names);
  std::filesystem::remove(at + "words.txt");
  CHECK(list_tiny_imagenet(folder.path(), ImageFolderPart::train).class_names[0] == "n1");
}

TEST_CASE("annotations that leave their folder or name unknown classes are refused") {
  const auto text = [](const std::string& annotations) {
    const scratch::Folder folder;
    write_tiny(folder);
    folder.write("val/val_annotations.txt", annotations);
    const std::string said = error_text(
        [&] { static_cast<void>(list_tiny_imagenet(folder.path(), ImageFolderPart::validation)); });
    return said.substr(said.find("val_annotations.txt"));
  };
  CHECK(text("val_0.JPEG n1\n../../etc/passwd n1\n") ==
        "val_annotations.txt: line 2: expected '<file> <class>' with a plain file name and a known "
        "class, found '../../etc/passwd' 'n1'");
  CHECK(text("val_0.JPEG n3\n").find("found 'val_0.JPEG' 'n3'") != std::string::npos);
  CHECK(text("val_0.JPEG\n").find("found 'val_0.JPEG' ''") != std::string::npos);
  CHECK(text(".. n1\n").find("line 1") != std::string::npos);
  CHECK(text("   \n").find("found '' ''") != std::string::npos);
  CHECK(text("\n\n") == "val_annotations.txt: expected labels, found none");
  const std::string with_zero("a\0b n1\n", 7);
  CHECK(text(with_zero).find("line 1") != std::string::npos);
}

TEST_CASE("lists of classes that leave their folder or repeat are refused") {
  for (const std::string wnids : {"n1\nn1\n", "n1\n../n2\n", "", "..\n"}) {
    const scratch::Folder folder;
    write_tiny(folder);
    folder.write("wnids.txt", wnids);
    CHECK_THROWS_AS(static_cast<void>(list_tiny_imagenet(folder.path(), ImageFolderPart::train)),
                    FileError);
  }
}

TEST_CASE("ImageNet: both parts number their classes by the folders of train") {
  const scratch::Folder folder;
  for (const std::string part : {"train", "val"}) {
    folder.write(part + "/n1/" + part + "_1.JPEG", "1");
    folder.write(part + "/n2/" + part + "_2.JPEG", "2");
  }
  const ImageList train = list_imagenet(folder.path(), ImageFolderPart::train);
  const ImageList validation = list_imagenet(folder.path(), ImageFolderPart::validation);
  CHECK(train.labels == std::vector<std::int32_t>{0, 1});
  CHECK(validation.class_names == train.class_names);
  CHECK(validation.files[1] == folder.path() + "/val/n2/val_2.JPEG");
  folder.write("train/n0/0.jpg", "0");
  CHECK_THROWS_AS(static_cast<void>(list_imagenet(folder.path(), ImageFolderPart::validation)),
                  FileError);
}
