import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { defects } from './interop/grpc-js-xds/defects.ts'
import { xdsClientCases } from './interop/support/xds-client-cases.ts'

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

/** A row for each case and reason, with the clients that differ for it. */
function* differences(): Generator<string> {
  for (const { name, steps } of xdsClientCases) {
    const clients = new Map<string, Set<string>>()
    for (const { differs = {} } of steps) {
      for (const [client, { because }] of Object.entries(differs))
        clients.set(because, (clients.get(because) ?? new Set()).add(client))
    }
    for (const [because, those] of clients) yield `| ${name} | ${[...those].join(', ')} | ${because} |`
  }
}

test('docs/grpc.md: where other clients differ', () => {
  const [, section = ''] = page.split('## Where other clients differ')
  const told = section.split('\n## ')[0]?.match(/^\| (?!case|-).*$/gm) ?? []
  assert.deepEqual(told, [...differences()])
  assert.ok(section.includes(`${xdsClientCases.length} cases`))
})

test('docs/grpc.md: the defects of grpc-js-xds', () => {
  const [, section = ''] = page.split('## Against grpc-js-xds')
  assert.deepEqual(
    section.match(/^\| \d+ .*$/gm),
    defects.map(({ number, theirs, ours }) => `| ${number} | ${theirs} | ${ours} |`),
  )
})
