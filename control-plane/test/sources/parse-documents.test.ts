import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDocuments } from '../../src/sources/parse-documents.ts'
import { decode, linesOf } from '../support/documents.ts'

const scalar = (text: string): unknown => parseDocuments('f.yaml', `[ ${text} ]`).documents.map(({ value }) => value)[0]

test('a plain scalar is what it is to Kubernetes', () => {
  const meant: readonly (readonly [string, unknown])[] = [
    ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false'].map(text => [text, false] as const),
    ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true'].map(text => [text, true] as const),
    ['010', 8],
    ['0o10', 8],
    ['-0o1_0', -8],
    ['0x10', 16],
    ['0b11', 3],
    ['1_000', 1000],
    ['08', 8],
    ['1e3', 1000],
    ['1.', 1],
    ['.5', 0.5],
    ['-1_0.5E-1', -1.05],
    ...['.', 'e1', 'E10', '.e5', '._', '-.', '+.e1', '1e'].map(text => [text, text] as const),
    ['~', null],
    ['yEs', 'yEs'],
    ['t', 't'],
    ['1:30', '1:30'],
    ['1:30.5', '1:30.5'],
    ['2020-01-01', '2020-01-01'],
    ['"no"', 'no'],
    ['!!str no', 'no'],
  ]
  for (const [text, value] of meant) assert.deepEqual(scalar(text), [value], text)
})

test('a boolean where a string must stand is refused', () => {
  const { problems } = decode(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - match: [{ headers: { x: { exact: no } } }]
    route: [{ destination: { host: reviews } }]
`)
  assert.deepEqual(linesOf(problems, 'error'), [
    'mesh.yaml:7:31: VirtualService default/reviews: spec.http[0].match[0].headers.x.exact: must be a string, got false; put it in quotes',
  ])
})

test('a merged mapping counts, and an error in it has a place', () => {
  const [document] = parseDocuments('f.yaml', 'base: &base { a: 1, b: 2 }\nspec:\n  <<: *base\n  b: 3\n').documents
  assert.deepEqual(document?.value, { base: { a: 1, b: 2 }, spec: { a: 1, b: 3 } })
  assert.deepEqual(document?.locate(['spec', 'a']), { file: 'f.yaml', line: 2, column: 1 })
  assert.deepEqual(document?.locate(['spec', 'b']), { file: 'f.yaml', line: 4, column: 3 })
})

test('each item of a list has its own place', () => {
  const { documents } = parseDocuments('f.yaml', 'kind: List\nitems:\n- kind: A\n  x: 1\n- kind: B\n---\n---\nkind: C\n')
  assert.deepEqual(
    documents.map(({ value }) => value),
    [{ kind: 'A', x: 1 }, { kind: 'B' }, { kind: 'C' }],
  )
  assert.deepEqual(documents[0]?.locate(['x']), { file: 'f.yaml', line: 4, column: 3 })
  assert.deepEqual(documents[1]?.locate(['kind']), { file: 'f.yaml', line: 5, column: 3 })
})

test('what is no YAML is refused with its place, and the rest of the file is read', () => {
  const { documents, problems } = parseDocuments('f.yaml', 'a: [1\n---\nb: 1\nb: 2\n---\nc: 1\n')
  assert.deepEqual(
    documents.map(({ value }) => value),
    [{ c: 1 }],
  )
  assert.deepEqual(
    problems.map(({ line }) => line),
    [2, 4],
  )
})
