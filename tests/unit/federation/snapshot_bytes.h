// An image as the bytes of a snapshot, and back.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/snapshot_container.h"
#include "federation/image/image_io.h"

namespace kafed::federation {

inline std::string SnapshotOf(const Image& image) {
  std::string bytes;
  SnapshotWriter writer([&](std::string_view piece) {
    bytes.append(piece);
    return absl::OkStatus();
  });
  EXPECT_TRUE(writer.Begin(HeaderOf(image)).ok());
  EXPECT_TRUE(AddRows(image, &writer).ok());
  EXPECT_TRUE(writer.Finish().ok());
  return bytes;
}

inline absl::StatusOr<Image> ImageOf(const std::string& snapshot) {
  SnapshotReader reader(SourceOf(snapshot));
  return LoadImage(&reader);
}

}  // namespace kafed::federation
