import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decode, decodeGood, linesOf } from '../support/documents.ts'
import { securityYaml } from '../support/security.ts'

const providers = `extensionProviders:
  - name: grpc
    envoyExtAuthzGrpc: { service: authz.shop.svc.cluster.local, port: 9000 }
  - name: zipkin
    zipkin: { service: z, port: 9411 }
`
const indented = (text: string, spaces: number) => text.replaceAll(/^(?=.)/gm, ' '.repeat(spaces))
const configMap = (mesh: string, name = 'istio') => `apiVersion: v1
kind: ConfigMap
metadata: { name: ${name}, namespace: istio-system }
data:
  mesh: |-
${indented(mesh, 4)}
`

const read = (yaml: string) => decodeGood(yaml).meshConfigs.flatMap(each => each.extensionProviders)

describe('where a MeshConfig is found', () => {
  const cases: Readonly<Record<string, string>> = {
    'a ConfigMap': configMap(providers),
    'a ConfigMap of a revision': configMap(providers, 'istio-1-30'),
    'a quoted text': `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio }\ndata: { mesh: ${JSON.stringify(providers)} }\n`,
    'an IstioOperator': `apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: { name: a }
spec:
  profile: minimal
  meshConfig:
${indented(providers, 4)}
`,
    'a document by itself': providers,
    'a document with its kind': `kind: MeshConfig\n${providers}`,
  }
  for (const [what, yaml] of Object.entries(cases)) {
    test(what, () =>
      assert.deepEqual(
        read(yaml).map(({ name, service, port }) => [name, service, port]),
        [['grpc', 'authz.shop.svc.cluster.local', 9000]],
      ),
    )
  }

  test('another ConfigMap is none', () => {
    const { documents, problems } = decode(configMap(providers, 'other'))
    assert.deepEqual(documents.meshConfigs, [])
    assert.match(linesOf(problems, 'warning').join(), /ConfigMap is not about traffic/)
  })

  test('what else a MeshConfig says is named in one warning', () => {
    assert.deepEqual(linesOf(decode(configMap(`rootNamespace: a\n${providers}trustDomain: b\n`)).problems, 'warning'), [
      'mesh.yaml:6:5: ConfigMap istio-system/istio: of a MeshConfig only extensionProviders are read here, not rootNamespace, trustDomain',
    ])
  })
})

test('every field of a provider', () => {
  const yaml = `extensionProviders:
  - name: a
    envoyExtAuthzHttp:
      service: shop/authz
      port: 8000
      timeout: 1.5s
      pathPrefix: /check
      failOpen: true
      statusOnError: "503"
      clearRouteCache: true
      includeRequestHeadersInCheck: [x-a, "x-b-*"]
      includeAdditionalHeadersInCheck: { x-c: d }
      headersToUpstreamOnAllow: [x-user]
      headersToDownstreamOnDeny: ["*-why"]
      headersToDownstreamOnAllow: [x-told]
      includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true }
  - name: b
    envoyExtAuthzHttp: { service: authz, port: 1, includeHeadersInCheck: [x-old] }
`
  const [a, b] = read(yaml)
  assert.deepEqual(a, {
    name: 'a',
    service: 'shop/authz',
    port: 8000,
    timeoutMs: 1500,
    failOpen: true,
    statusOnError: 503,
    clearsRouteCache: true,
    body: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true },
    http: {
      pathPrefix: '/check',
      includeRequestHeaders: ['x-a', 'x-b-*'],
      includeAdditionalHeaders: { 'x-c': 'd' },
      headersToUpstreamOnAllow: ['x-user'],
      headersToDownstreamOnDeny: ['*-why'],
      headersToDownstreamOnAllow: ['x-told'],
    },
  })
  assert.deepEqual([b?.timeoutMs, b?.failOpen, b?.statusOnError, b?.body], [600_000, false, undefined, undefined])
  assert.deepEqual(b?.http?.includeRequestHeaders, ['x-old'])
})

describe('mistakes', () => {
  test('stand in the lines of the file, inside the text of a ConfigMap too', () => {
    const yaml = configMap(`extensionProviders:
- name: a
  envoyExtAuthzHttp:
    service: "*.shop"
    port: 0
    statusOnError: "99"
    pathPrefix: check
    includeRequestHeadersInCheck: ["*"]
    failopen: true
- name: a
  envoyExtAuthzGrpc: { port: 1 }
`)
    assert.deepEqual(linesOf(decode(`# first\n${yaml}`).problems, 'error'), [
      'mesh.yaml:15:9: ConfigMap istio-system/istio: extensionProviders[0].envoyExtAuthzHttp.failopen: is not a field; did you mean failOpen?',
      'mesh.yaml:14:40: ConfigMap istio-system/istio: extensionProviders[0].envoyExtAuthzHttp.includeRequestHeadersInCheck[0]: must be more than a wildcard',
      'mesh.yaml:13:9: ConfigMap istio-system/istio: extensionProviders[0].envoyExtAuthzHttp.pathPrefix: must begin with /, got "check"',
      'mesh.yaml:10:9: ConfigMap istio-system/istio: extensionProviders[0].envoyExtAuthzHttp.service: must be a host or namespace/host, without wildcard, got "*.shop"',
      'mesh.yaml:11:9: ConfigMap istio-system/istio: extensionProviders[0].envoyExtAuthzHttp.port: must be in [1, 65535], got 0',
      'mesh.yaml:12:9: ConfigMap istio-system/istio: extensionProviders[0].envoyExtAuthzHttp.statusOnError: must be an HTTP status from "200" to "599", got "99"',
      'mesh.yaml:17:7: ConfigMap istio-system/istio: extensionProviders[1].envoyExtAuthzGrpc.service: is required',
      'mesh.yaml:16:7: ConfigMap istio-system/istio: extensionProviders[1].name: "a" is there twice',
    ])
  })

  test('names of authorizers are labels, those of others are not looked at', () => {
    const provider = (name: string, kind = 'envoyExtAuthzGrpc') =>
      `extensionProviders: [{ name: "${name}", ${kind}: { service: a, port: 1 } }]\n`
    for (const name of ['a', '0', 'a-b', 'a'.repeat(63)]) assert.deepEqual(linesOf(decode(provider(name)).problems, 'error'), [])
    for (const name of ['A', 'a.b', 'a/b', '-a', 'a-', 'a'.repeat(64)]) {
      const [error = '', ...more] = linesOf(decode(provider(name)).problems, 'error')
      assert.match(error, /extensionProviders\[0\]\.name: must be of small letters, digits and hyphens inside/, name)
      assert.deepEqual(more, [])
    }
    assert.deepEqual(linesOf(decode(provider('A.b', 'zipkin')).problems, 'error'), [])
  })

  test('a text that is no YAML', () => {
    assert.match(
      linesOf(decode(configMap('a: [')).problems, 'error').join('\n'),
      /^mesh\.yaml:6:\d+: ConfigMap istio-system\/istio: /,
    )
  })

  test('a provider in two documents', () => {
    const { problems } = decode(`${configMap(providers)}---\n${providers}`)
    assert.match(linesOf(problems, 'error').join(), /the extension provider grpc is there twice, in different documents/)
  })
})

test('a policy whose provider nobody defines is warned of', () => {
  const policy = securityYaml('AuthorizationPolicy', 'a', '{ action: CUSTOM, provider: { name: grpc }, rules: [{}] }')
  assert.match(linesOf(decode(policy).problems, 'warning').join(), /no MeshConfig defines grpc: what the rules match is denied/)
  assert.deepEqual(linesOf(decode(`${policy}\n${providers}`).problems, 'warning'), [])
})
