// RadixArray: a persistent (structurally shared) array, index -> T.
//
// A value type: copying one is O(1) and gives a snapshot that later edits never
// touch. An edit copies one path of nodes with 32 places each. Indexes may be
// any 32-bit numbers; dense ones from 0 are what it is good at: a million of
// them are four nodes deep, of which all but the last stay in the cache. Places
// that were never put hold T{}.
//
// Beside BlockTable: no hashing, no keys in memory, but neither a digest nor a
// scan.
//
// Threads: an object is edited by one thread; copies may be read and dropped by
// any. Pointers returned by Find live as long as an unedited copy.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace kafed {

template <typename T>
class RadixArray {
 public:
  RadixArray() = default;
  RadixArray(const RadixArray& other)
      : root_(other.root_), height_(other.height_) {
    Ref(root_);
  }
  RadixArray(RadixArray&& other) noexcept
      : root_(std::exchange(other.root_, nullptr)),
        height_(std::exchange(other.height_, 0)) {}
  RadixArray& operator=(RadixArray other) noexcept {
    std::swap(root_, other.root_);
    std::swap(height_, other.height_);
    return *this;
  }
  ~RadixArray() { Release(root_, height_); }

  // Null if nothing was ever put near `index`.
  const T* Find(uint32_t index) const {
    if (Beyond(index)) return nullptr;
    const Node* node = root_;
    for (int level = height_; level > 0 && node != nullptr; --level) {
      node = static_cast<const Inner*>(node)->children[Place(index, level)];
    }
    if (node == nullptr) return nullptr;
    return &static_cast<const Leaf*>(node)->values[Place(index, 0)];
  }

  // The place of `index`, to be written before the next copy is taken.
  T& Edit(uint32_t index) {
    while (root_ != nullptr && Beyond(index)) Raise();
    if (root_ == nullptr) height_ = HeightFor(index);
    Node** node = &root_;
    for (int level = height_; level > 0; --level) {
      node = &Own<Inner>(node, level)->children[Place(index, level)];
    }
    return Own<Leaf>(node, 0)->values[Place(index, 0)];
  }

  size_t MemoryBytes() const { return Bytes(root_, height_); }

 private:
  static constexpr int kBits = 5;
  static constexpr size_t kFanout = size_t{1} << kBits;

  struct Node {
    std::atomic<uint32_t> refs{1};
  };
  struct Inner : Node {
    Inner() = default;
    Inner(const Inner& other) : Node() {
      for (size_t i = 0; i < kFanout; ++i) {
        children[i] = other.children[i];
        Ref(children[i]);
      }
    }
    Node* children[kFanout] = {};
  };
  struct Leaf : Node {
    Leaf() = default;
    Leaf(const Leaf& other) : Node() {
      for (size_t i = 0; i < kFanout; ++i) values[i] = other.values[i];
    }
    T values[kFanout] = {};
  };

  static size_t Place(uint32_t index, int level) {
    return (index >> (kBits * level)) & (kFanout - 1);
  }
  static int HeightFor(uint32_t index) {
    return index == 0 ? 0 : (std::bit_width(index) - 1) / kBits;
  }
  bool Beyond(uint32_t index) const { return HeightFor(index) > height_; }

  void Raise() {
    auto* root = new Inner;
    root->children[0] = root_;
    root_ = root;
    ++height_;
  }

  // The node at `place`, made or copied if it is not this array's alone.
  template <typename N>
  static N* Own(Node** place, int level) {
    if (*place == nullptr) {
      *place = new N;
    } else if ((*place)->refs.load(std::memory_order_acquire) != 1) {
      auto* copy = new N(*static_cast<const N*>(*place));
      Release(std::exchange(*place, copy), level);
    }
    return static_cast<N*>(*place);
  }

  static void Ref(Node* node) {
    if (node != nullptr) node->refs.fetch_add(1, std::memory_order_relaxed);
  }
  static void Release(Node* node, int level) {
    if (node == nullptr ||
        node->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) {
      return;
    }
    if (level == 0) {
      delete static_cast<Leaf*>(node);
      return;
    }
    auto* inner = static_cast<Inner*>(node);
    for (Node* child : inner->children) Release(child, level - 1);
    delete inner;
  }

  static size_t Bytes(const Node* node, int level) {
    if (node == nullptr) return 0;
    if (level == 0) return sizeof(Leaf);
    size_t bytes = sizeof(Inner);
    for (const Node* child : static_cast<const Inner*>(node)->children) {
      bytes += Bytes(child, level - 1);
    }
    return bytes;
  }

  Node* root_ = nullptr;
  int height_ = 0;  // levels above the leaves
};

}  // namespace kafed
