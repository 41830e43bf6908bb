// Route views from files: a hostile file is refused, and what a client takes is
// saved and loaded again to the same view.
#include "client/view_snapshot.h"
#include "tests/fuzz/snapshot_repair.h"
#include "tests/fuzz/support.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kafed;  // NOLINT: of this target
  const std::string_view bytes = fuzz::AsText(data, size);
  const fuzz::MemoryFile raw(bytes);
  const auto as_it_is = client::LoadView(raw.path());
  const fuzz::MemoryFile repaired(fuzz::RepairSnapshot(bytes));
  const auto loaded = client::LoadView(repaired.path());
  if (!loaded.ok()) {
    FUZZ_CHECK(!as_it_is.ok());
    return 0;
  }
  const std::string path = fuzz::ScratchFolder() + "/view";
  const absl::Status saved =
      client::SaveView(loaded->view, loaded->filter, milliseconds(5), path);
  FUZZ_CHECK(saved.ok(), saved.ToString());
  const auto again = client::LoadView(path);
  FUZZ_CHECK(again.ok(), again.status().ToString());
  FUZZ_CHECK(again->view.position() == loaded->view.position());
  FUZZ_CHECK(again->filter.SerializeAsString() ==
             loaded->filter.SerializeAsString());
  FUZZ_CHECK(again->view.view.keys() == loaded->view.view.keys());
  FUZZ_CHECK(again->view.view.topics().size() ==
             loaded->view.view.topics().size());
  return 0;
}
