/** One line of the table: what the baseline costs, what `inmesh` costs, and the median of the ratios of the pairs. */
export interface Row {
  /** The benchmark's name; further rows of the same benchmark add `/` and what they vary. */
  readonly name: string
  /** Of `baseline` and `inmesh`, such as `µs CPU/request`. */
  readonly unit: string
  /** Median of the baseline's samples; `null` where there is nothing to compare with. */
  readonly baseline: number | null
  /** Median of inmesh's samples. */
  readonly inmesh: number
  /** inmesh's cost / the baseline's cost, median over the pairs: lower is better. `null` where there is no baseline. */
  readonly ratio: number | null
  /** How many pairs of processes were measured. */
  readonly pairs: number
  /** Whatever else was measured. */
  readonly [more: string]: number | string | null
}

/** How a benchmark is asked to run. */
export interface BenchmarkOptions {
  /** Fewer pairs and shorter runs: shows that the benchmark works, not how fast anything is. */
  readonly quick: boolean
}

/** What `bench/<name>.ts` exports as `benchmark`. */
export interface Benchmark {
  readonly name: string
  /** What is compared with what, for the head of the table. */
  readonly title: string
  run(options: BenchmarkOptions): AsyncIterable<Row>
}
