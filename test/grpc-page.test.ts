import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const page = readFileSync(new URL('../docs/grpc.md', import.meta.url), 'utf8')
const rows = page.split('\n').filter(line => /^\| A\d/.test(line))

for (const row of rows) {
  const [grfc = '', here = '', named = ''] = row
    .split('|')
    .slice(1)
    .map(cell => cell.trim())
  test(`docs/grpc.md: ${grfc}`, () => {
    const [, path, title] = /^`([^`]+)`\s*(.*)$/.exec(named) ?? []
    if (here.startsWith('no')) {
      assert.equal(named, '')
      return
    }
    assert.ok(path !== undefined, 'a claim without a test')
    const text = readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
    assert.ok(title !== undefined && title !== '' && text.includes(title), `${path} has no test "${title}"`)
  })
}
