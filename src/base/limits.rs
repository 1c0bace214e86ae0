//! Every bound of the program in one place, each with its reason.

/// One file of a repository or chart: beyond it is data, not configuration.
pub const FILE_BYTES_MAX: usize = 8 << 20;
/// All files of one revision: they are held in memory.
pub const SOURCE_BYTES_MAX: usize = 512 << 20;
/// All files of one chart, unpacked; Helm's own limit.
pub const CHART_BYTES_MAX: usize = 100 << 20;
/// Entries of one packed chart.
pub const CHART_ENTRIES_MAX: usize = 10_000;
/// Unpacked to packed: a decompression bomb is far above, text is below 30.
pub const CHART_RATIO_MAX: usize = 200;
/// Nested subcharts.
pub const CHART_DEPTH_MAX: usize = 16;
/// Nested `include`, `template` and `tpl`; Helm stops at 1,000.
pub const TEMPLATE_DEPTH_MAX: usize = 1_000;
/// Steps of one render; the largest real chart needs under two million.
pub const TEMPLATE_FUEL: u64 = 200_000_000;
/// What the functions of one render build, in bytes, all together; the largest real chart stays
/// below 64 MiB. What is there at one time is at most as much.
pub const TEMPLATE_MEMORY: u64 = 512 << 20;
/// How long one render may take: the slowest real chart needs a quarter of a second.
pub const TEMPLATE_TIME: std::time::Duration = std::time::Duration::from_secs(30);
/// Output of one template.
pub const TEMPLATE_OUTPUT_BYTES_MAX: usize = 64 << 20;
/// Steps of rendering one text of a values layer; they are a few words long.
pub const LAYER_FUEL: u64 = 1_000_000;
/// What rendering one text of a values layer may build on the way.
pub const LAYER_MEMORY: u64 = 64 << 20;
/// What one text of a values layer may become.
pub const LAYER_OUTPUT_BYTES_MAX: usize = 8 << 20;
/// Nesting of a YAML document: what `serde_json` reads back, and real ones stay below 40.
pub const YAML_DEPTH_MAX: usize = 128;
/// Nodes of a YAML document after its aliases are expanded.
pub const YAML_NODES_MAX: usize = 2_000_000;
/// An HTTP chart repository's index.
pub const INDEX_BYTES_MAX: usize = 256 << 20;
/// Clusters worked on at the same time.
pub const CLUSTERS_IN_PARALLEL: usize = 32;
/// Release records kept for one release where the addon does not say; Helm's default.
pub const RELEASE_HISTORY_MAX: u32 = 10;
