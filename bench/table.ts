import type { Row } from './benchmark.ts'

const fixed = ['name', 'unit', 'baseline', 'inmesh', 'ratio', 'pairs']

/** The rows of one benchmark as aligned text; what a row measured beside the fixed columns follows it, indented. */
export function table(rows: readonly Row[]): string {
  const head = ['', 'baseline', 'inmesh', 'ratio', 'pairs', 'unit']
  const lines = rows.map(row => [
    row.name,
    row.baseline === null ? '–' : figure(row.baseline),
    figure(row.inmesh),
    row.ratio === null ? '–' : row.ratio.toFixed(3),
    String(row.pairs),
    row.unit,
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map(line => line[column]?.length ?? 0)))
  const print = (line: readonly string[]) =>
    line
      .map((cell, column) =>
        column === 0 || column === 5 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  const more = rows.map(row =>
    Object.entries(row)
      .filter(([key]) => !fixed.includes(key))
      .map(([key, value]) => `${key} ${typeof value === 'number' ? figure(value) : value}`)
      .join(', '),
  )
  return [print(head), ...lines.flatMap((line, i) => (more[i] ? [print(line), `    ${more[i]}`] : [print(line)]))].join('\n')
}

/** Three to four significant digits, without exponents. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size === 0 ? 0 : 4)
}
