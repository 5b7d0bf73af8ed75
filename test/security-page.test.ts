import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const page = readFileSync(new URL('../docs/security.md', import.meta.url), 'utf8')
const rows = page
  .split('\n')
  .filter(line => /^\| [A-H]\d/.test(line))
  .map(line =>
    line
      .split('|')
      .slice(1)
      .map(cell => cell.trim()),
  )

test('docs/security.md has every line once, and counts them', () => {
  const lengths = { A: 42, B: 29, C: 8, D: 8, E: 12, F: 20, G: 21, H: 8 }
  const expected = Object.entries(lengths).flatMap(([letter, length]) => Array.from({ length }, (_, at) => `${letter}${at + 1}`))
  assert.deepEqual(
    rows.map(([number]) => number),
    expected,
  )
  const count = (covered: string) => rows.filter(([, , each]) => each === covered).length
  const [yes, part, no] = ['yes', 'part', 'no'].map(count)
  assert.ok(
    page.includes(`${rows.length} lines of attack, of which ${yes} are covered by a test, ${part} in part, and ${no} by none`),
  )
})

for (const [number = '', , covered, where = ''] of rows) {
  test(`docs/security.md: ${number}`, () => {
    if (covered === 'no') {
      assert.ok(where.length > 8, 'neither a test nor a reason')
      return
    }
    const [, path, title = ''] = /^`([^`]+)` ([^;]*)/.exec(where) ?? assert.fail('a claim without a test')
    assert.ok(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8').includes(title.trim()), `${path} has no "${title}"`)
  })
}
