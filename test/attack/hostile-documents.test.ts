import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { toBinary } from '@bufbuild/protobuf'
import { parse } from 'yaml'
import { MeshState } from '../../control-plane/src/mesh.ts'
import { parseDocuments } from '../../control-plane/src/sources/parse-documents.ts'
import type { View } from '../../control-plane/src/translate/view.ts'
import { resourceSchemas } from '../../control-plane/src/xds/resource-type.ts'
import { linesOf } from '../../control-plane/test/support/documents.ts'
import { routeYaml } from '../../control-plane/test/support/gateway.ts'
import { serviceYaml, viewWith } from '../../control-plane/test/support/translate.ts'
import { resourceTypesOf } from '../../src/discovery/resources/decode.ts'

type Path = readonly (string | number)[]
type Node = Record<string | number, unknown>

/** Of each kind of document, some that are accepted and have every field between them. */
const seeds: readonly string[] = [
  ...acceptedIn('validation.json'),
  ...acceptedIn('security-validation.json'),
  serviceYaml('other', '[{ name: http, port: 9080, targetPort: 1, appProtocol: http }]'),
  `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: a, labels: { kubernetes.io/service-name: reviews } }
addressType: IPv4
ports: [{ name: http, port: 9080, protocol: TCP }]
endpoints: [{ addresses: [10.0.0.1], conditions: { ready: true }, zone: a, nodeName: b, hostname: c }]
`,
  routeYaml(
    'HTTPRoute',
    `
    - matches:
        - path: { type: PathPrefix, value: /a }
          headers: [{ type: Exact, name: a, value: b }]
          queryParams: [{ name: a, value: b }]
          method: GET
      filters:
        - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: a, value: b }], add: [{ name: c, value: d }], remove: [e] } }
        - { type: URLRewrite, urlRewrite: { hostname: a.test, path: { type: ReplacePrefixMatch, replacePrefixMatch: /b } } }
        - { type: RequestMirror, requestMirror: { backendRef: { name: reviews, port: 9080 }, percent: 10 } }
      backendRefs: [{ name: reviews, port: 9080, weight: 3 }]
      timeouts: { request: 10s, backendRequest: 2s }
      retry: { codes: [503], attempts: 2, backoff: 100ms }`,
  ),
  routeYaml(
    'GRPCRoute',
    `
    - matches: [{ method: { type: Exact, service: a.B, method: C }, headers: [{ name: a, value: b }] }]
      backendRefs: [{ name: reviews, port: 9080 }]`,
  ),
  `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: w }
spec: { address: 10.0.0.9, labels: { app: reviews }, ports: { http: 9080 }, locality: a/b/c, weight: 3, serviceAccount: x }
`,
]

/** What stands where a field's value stood. */
const values: readonly unknown[] = [
  null,
  '',
  '__proto__',
  'constructor',
  '../../x',
  '*',
  'a\u0000b',
  'a\r\nb',
  -1,
  0,
  1e300,
  2 ** 40,
  0.5,
  true,
  [],
  {},
  [null],
  [{}],
  { unknown: 1 },
  'x'.repeat(5_000),
  '9'.repeat(400),
  '99999999999999h',
  '1e9s',
  '%',
  '{',
  '(a+)+$',
  '\ud800',
  '😀',
  '/',
  '.',
  ':',
  '10.0.0.300',
  'spiffe://',
]

/** What stands where a field's name stood. */
const names = ['__proto__', 'constructor', 'toString', '', 'a b', 'a\r\nb']

const inboundName = 'xds.istio.io/grpc/lds/inbound/10.0.0.1:9080'
const views: readonly View[] = [
  viewWith(),
  viewWith({ isIdentified: true, labels: { app: 'reviews' } }),
  viewWith({ kind: 'envoy', agent: 'other', isIdentified: true }),
]
const readers = resourceTypesOf({ isInbound: name => name === inboundName, isForGrpc: false })

test('G13: a document with a hostile value or name anywhere is refused or harmless: nothing throws, and no client refuses what comes of it', () => {
  let tried = 0
  let accepted = 0
  for (const document of hostileDocuments()) {
    tried += 1
    const state = new MeshState({})
    const { documents, problems } = parseDocuments('mesh.yaml', serviceYaml('reviews') + JSON.stringify(document))
    const shown = JSON.stringify(document).slice(0, 2_000)
    try {
      if (state.apply(documents, problems).kind === 'refused') continue
      accepted += 1
      assert.deepEqual(
        views.flatMap(view => refusedBy(state, view)),
        [],
      )
    } catch (cause) {
      throw new Error(`for ${shown}`, { cause })
    }
  }
  assert.ok(tried > 10_000 && accepted > 1_000, `${tried} documents, ${accepted} of them accepted`)
})

test('G13: aliases that multiply are refused before they are written out', () => {
  const lines = Array.from({ length: 30 }, (_, i) => `l${i + 1}: &l${i + 1} [*l${i}, *l${i}, *l${i}, *l${i}]`)
  const { problems } = parseDocuments('mesh.yaml', ['l0: &l0 [x]', ...lines].join('\n'))
  assert.match(linesOf(problems, 'error').join('\n'), /^mesh\.yaml.*Excessive alias count/)
})

test('G13: names that a JavaScript object has by itself are no fields and no kinds', () => {
  const linesFor = (yaml: string) => {
    const { documents, problems } = parseDocuments('mesh.yaml', yaml)
    const result = new MeshState({}).apply(documents, problems)
    return result.kind === 'refused' ? linesOf(result.problems, 'error') : linesOf(result.warnings, 'warning')
  }
  const service = serviceYaml('reviews', '[{ name: http, port: 9080 }]', ', __proto__: { ports: 1 }')
  assert.deepEqual(linesFor(service), ['mesh.yaml:4:74: Service default/reviews: spec.__proto__: is not a field'])
  for (const kind of ['constructor', '__proto__', 'toString'])
    assert.deepEqual(linesFor(`{ apiVersion: networking.istio.io/v1, kind: ${kind}, metadata: { name: a } }`), [
      `mesh.yaml:1:39: ${kind} default/a: kind: there is no kind ${kind} in networking.istio.io/v1 that is known here`,
    ])
  for (const apiVersion of ['constructor', '__proto__'])
    assert.match(linesFor(`{ apiVersion: ${apiVersion}, kind: Service, metadata: { name: a } }`).join(), /is not about traffic$/)
  assert.equal(Object.hasOwn(Object.prototype, 'ports'), false)
})

/** Every seed with each of its fields changed once for each value and each name. */
function* hostileDocuments(): Generator<unknown, undefined> {
  const seen = new Set<string>()
  for (const seed of seeds) {
    const document: Node = parse(seed.replace(/---\n$/, ''))
    for (const path of pathsOf(document)) {
      const id = [document.kind, ...path].join('.')
      if (seen.has(id)) continue
      seen.add(id)
      for (const value of values) yield changed(document, path, (holder, key) => (holder[key] = value))
      if (typeof path.at(-1) === 'string')
        for (const name of names) yield changed(document, path, (holder, key) => rename(holder, key, name))
    }
  }
}

function* pathsOf(value: unknown, path: Path = []): Generator<Path, undefined> {
  if (path.length > 0) yield path
  if (typeof value !== 'object' || value === null) return
  const isList = Array.isArray(value)
  for (const [key, inner] of Object.entries(value)) yield* pathsOf(inner, [...path, isList ? Number(key) : key])
}

/** A copy of which the holder of the last step of `path` is given to `change`. */
function changed(document: Node, path: Path, change: (holder: Node, key: string | number) => void): Node {
  const copy = structuredClone(document)
  let holder = copy
  for (const step of path.slice(0, -1)) holder = holder[step] as Node
  change(holder, path.at(-1) ?? '')
  return copy
}

/** `__proto__` becomes a field like any other, as YAML and JSON have it. */
function rename(holder: Node, from: string | number, to: string): void {
  const value = holder[from]
  delete holder[from]
  Object.defineProperty(holder, to, { value, enumerable: true })
}

/** What clients of `view` would refuse: the translation has to come about, and what is for this SDK is decoded by it. */
function refusedBy(state: MeshState, view: View): readonly string[] {
  state.demandInbound(view, [inboundName])
  return [...(state.resourcesOf(view)?.resources ?? [])].flatMap(([typeUrl, byName]) => {
    const schema = resourceSchemas.get(typeUrl)
    assert.ok(schema, typeUrl)
    const reader = Object.values(readers).find(each => each.typeUrl === typeUrl)
    return [...byName.values()].flatMap(message => {
      const bytes = toBinary(schema, message)
      if (view.kind !== 'proxyless' || !reader) return []
      const { decoded } = reader.decode(bytes)
      return decoded.ok ? [] : decoded.errors
    })
  })
}

function acceptedIn(file: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, '../../control-plane/test/fixtures', file), 'utf8')
  const table: readonly { readonly yaml: string; readonly accepted: boolean }[] = JSON.parse(text)
  return table.filter(({ accepted }) => accepted).map(({ yaml }) => yaml)
}
