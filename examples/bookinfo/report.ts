import type { CallRow } from './otlp-receiver.ts'

const colour = (code: number, text: string) => (process.stdout.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text)

/** Prints what the demo claims, and remembers whether each claim held. */
export class Report {
  #failed = 0
  #held = 0
  #busy: NodeJS.Timeout | undefined

  /** Shows what goes on until the next line is printed. */
  progress(text: string): void {
    this.#clear()
    const begun = Date.now()
    if (!process.stdout.isTTY) {
      process.stdout.write(`  … ${text}\n`)
      return
    }
    const draw = () => process.stdout.write(`\r\x1b[K  … ${text} ${Math.round((Date.now() - begun) / 1000)} s`)
    draw()
    this.#busy = setInterval(draw, 1000)
  }

  line(text: string): void {
    this.#clear()
    process.stdout.write(`${text}\n`)
  }

  /** One claim, with the figures it was judged by. */
  claim(name: string, held: boolean, figures: string): void {
    if (held) this.#held++
    else this.#failed++
    this.line(`${held ? colour(32, '✔') : colour(31, '✘')} ${name}: ${figures}`)
  }

  /** Who called whom, as the receiver counted it. */
  table(rows: readonly CallRow[]): void {
    const cells = rows.map(row => [
      row.source,
      row.destination,
      row.version || '-',
      row.status,
      String(row.calls),
      row.meanMs.toFixed(1),
    ])
    const all = [['from', 'to', 'version', 'status', 'calls', 'mean ms'], ...cells]
    const widths = all[0]?.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0))) ?? []
    for (const row of all) this.line(`  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`)
  }

  /** The last line, and the exit code. */
  end(): number {
    this.line(`\n${this.#held} claims held, ${this.#failed} did not.`)
    return this.#failed === 0 ? 0 : 1
  }

  #clear(): void {
    if (!this.#busy) return
    clearInterval(this.#busy)
    this.#busy = undefined
    process.stdout.write('\r\x1b[K')
  }
}
