// Metrics: what /metrics says, in Prometheus' text format.
//
// Gathered when asked for: the hot paths count nothing for it. Names and
// meanings: docs/reference/metrics.md, generated from the table in metrics.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kafed::controller {

struct Metric {
  std::string name;
  std::string meaning;
  bool counter = false;  // else a gauge
  // One value for each set of labels.
  struct Sample {
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;
  };
  std::function<std::vector<Sample>()> read;
};

class Metrics {
 public:
  void Add(Metric metric) { metrics_.push_back(std::move(metric)); }
  // The page.
  std::string Text() const;
  // The reference page, in Markdown.
  std::string Reference() const;

 private:
  std::vector<Metric> metrics_;
};

// A metric with one value.
Metric Gauge(std::string name, std::string meaning,
             std::function<double()> read);
Metric Counter(std::string name, std::string meaning,
               std::function<double()> read);

}  // namespace kafed::controller
