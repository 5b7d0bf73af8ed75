import { otherClients } from './other-clients.ts'
import type { CaseCall, CaseStep, XdsClientCase } from './xds-client-case.ts'

const to = (version: string) => `route: [{ destination: { host: HOST, subset: ${version} } }]`

/** A rule that leads to v2 when `match` holds and to v1 otherwise. */
const matching = (match: string) => `- match: [${match}]\n  ${to('v2')}\n- ${to('v1')}`

/** A call that `version` answers. */
const leads = (version: string, call: CaseCall = {}): CaseStep => ({ call, expect: { version } })
const withHeaders = (version: string, metadata: Readonly<Record<string, string>>) => leads(version, { metadata })
const called = (version: string, method: string) => leads(version, { method: `/inmesh.test.${method}` })

const pseudoHeaders = 'A28: header matchers see the metadata of the call, in which there are no pseudo headers'

/** Which route a call takes, and where the route leads. */
export const routingCases: readonly XdsClientCase[] = [
  {
    name: 'an exact path is a method',
    http: matching('{ uri: { exact: /inmesh.test.Echo/Say } }'),
    steps: [called('v2', 'Echo/Say'), called('v1', 'Echo/Echo'), called('v1', 'Other/Say')],
  },
  {
    name: 'a prefix is a service',
    http: matching('{ uri: { prefix: /inmesh.test.Other/ } }'),
    steps: [called('v2', 'Other/Say'), called('v2', 'Other/Echo'), called('v1', 'Echo/Say')],
  },
  {
    name: 'a regex matches the whole path',
    http: matching('{ uri: { regex: "/inmesh.test.Other/Ec|/inmesh.test.[EO][a-z]+/Say" } }'),
    steps: [called('v2', 'Echo/Say'), called('v2', 'Other/Say'), called('v1', 'Other/Echo'), called('v1', 'Echo/Echo')],
  },
  {
    name: 'a path whatever its case',
    http: matching('{ uri: { prefix: /INMESH.test.other/ }, ignoreUriCase: true }'),
    steps: [called('v2', 'Other/Say'), called('v1', 'Echo/Say')],
  },
  {
    name: 'a header, exactly',
    http: matching('{ headers: { x-user: { exact: jason } } }'),
    steps: [withHeaders('v2', { 'x-user': 'jason' }), withHeaders('v1', { 'x-user': 'Jason' }), leads('v1')],
  },
  {
    name: 'a header by prefix',
    http: matching('{ headers: { x-user: { prefix: ja } } }'),
    steps: [withHeaders('v2', { 'x-user': 'jason' }), withHeaders('v1', { 'x-user': 'ninja' }), leads('v1')],
  },
  {
    name: 'a header by a regex of the whole value',
    http: matching('{ headers: { x-user: { regex: "a|b+" } } }'),
    steps: [withHeaders('v2', { 'x-user': 'bbb' }), withHeaders('v1', { 'x-user': 'ab' }), withHeaders('v2', { 'x-user': 'a' })],
  },
  {
    name: 'a header that is there',
    http: matching('{ headers: { x-user: {} } }'),
    steps: [withHeaders('v2', { 'x-user': 'anybody' }), leads('v1')],
  },
  {
    name: 'a header that is not there',
    http: matching('{ withoutHeaders: { x-user: {} } }'),
    steps: [withHeaders('v1', { 'x-user': 'anybody' }), leads('v2')],
  },
  {
    name: 'a header without a value',
    http: matching('{ withoutHeaders: { x-user: { exact: jason } } }'),
    steps: [
      withHeaders('v1', { 'x-user': 'jason' }),
      withHeaders('v2', { 'x-user': 'another' }),
      {
        expect: { version: 'v2' },
        differs: otherClients('A28: a header that is absent never matches; treat_missing_header_as_empty is not in it', {
          version: 'v1',
        }),
      },
    ],
  },
  {
    name: 'all headers of a match',
    http: matching('{ headers: { x-user: { exact: a }, x-group: { exact: b } } }'),
    steps: [withHeaders('v2', { 'x-user': 'a', 'x-group': 'b' }), withHeaders('v1', { 'x-user': 'a' })],
  },
  {
    name: 'one of several matches',
    http: matching('{ headers: { x-user: { exact: a } } }, { uri: { exact: /inmesh.test.Other/Say } }'),
    steps: [withHeaders('v2', { 'x-user': 'a' }), called('v2', 'Other/Say'), leads('v1')],
  },
  {
    name: 'the content type is that of gRPC',
    http: matching('{ headers: { content-type: { exact: application/grpc } } }'),
    steps: [
      {
        expect: { version: 'v2' },
        differs: {
          'grpc-go': {
            because: 'A28 has it match; grpc-go adds the content type after the route is chosen',
            expect: { version: 'v1' },
          },
        },
      },
    ],
  },
  {
    name: 'the HTTP method is POST',
    http: matching('{ method: { exact: POST } }'),
    steps: [{ expect: { version: 'v2' }, differs: otherClients(pseudoHeaders, { version: 'v1' }) }],
  },
  {
    name: 'the authority is that of the target',
    http: matching('{ authority: { exact: "HOST:50051" } }'),
    steps: [{ expect: { version: 'v2' }, differs: otherClients(pseudoHeaders, { version: 'v1' }) }],
  },
  {
    name: 'no call has a query',
    http: matching('{ queryParams: { q: { exact: "1" } } }'),
    steps: [leads('v1')],
  },
  {
    name: 'the first route that matches wins',
    http: [
      `- match: [{ uri: { prefix: /inmesh.test.Echo/ } }]\n  ${to('v2')}`,
      `- match: [{ uri: { exact: /inmesh.test.Echo/Say } }, { headers: { x-user: { exact: a } } }]\n  ${to('v3')}`,
      `- ${to('v1')}`,
    ].join('\n'),
    steps: [
      called('v2', 'Echo/Say'),
      withHeaders('v2', { 'x-user': 'a' }),
      leads('v3', { method: '/inmesh.test.Other/Say', metadata: { 'x-user': 'a' } }),
      called('v1', 'Other/Say'),
    ],
  },
  {
    name: 'no route matches',
    http: `- match: [{ uri: { exact: /inmesh.test.Other/Say } }]\n  ${to('v1')}`,
    steps: [{ expect: { code: 'UNAVAILABLE', attempts: 0 } }, called('v1', 'Other/Say')],
  },
  { name: 'a subset by its label', http: `- ${to('v2')}`, steps: [{ times: 20, expect: { version: 'v2' } }] },
  {
    name: 'a subset of nobody',
    http: `- match: [{ uri: { exact: /inmesh.test.Other/Say } }]\n  ${to('empty')}\n- ${to('v1')}`,
    steps: [{ call: { method: '/inmesh.test.Other/Say' }, expect: { code: 'UNAVAILABLE', attempts: 0 } }, leads('v1')],
  },
  {
    name: 'a split by weight, 0 % of it to v3',
    http: `- route:
  - { destination: { host: HOST, subset: v1 }, weight: 75 }
  - { destination: { host: HOST, subset: v2 }, weight: 25 }
  - { destination: { host: HOST, subset: v3 }, weight: 0 }`,
    steps: [{ times: 400, expect: { shares: { v1: 0.75, v2: 0.25, v3: 0 } } }],
  },
  {
    name: 'without rules every endpoint serves',
    trafficPolicy: '{ loadBalancer: { simple: ROUND_ROBIN } }',
    steps: [{ times: 300, expect: { shares: { v1: 1 / 3, v2: 1 / 3, v3: 1 / 3 } } }],
  },
  {
    name: 'an unknown method is answered by the server',
    http: `- ${to('v1')}`,
    steps: [{ call: { method: '/inmesh.test.Echo/Missing' }, expect: { code: 'UNIMPLEMENTED' } }],
  },
  {
    name: 'a direct response',
    http: `- match: [{ uri: { exact: /inmesh.test.Other/Say } }]\n  directResponse: { status: 503 }
- match: [{ uri: { exact: /inmesh.test.Other/Echo } }]\n  directResponse: { status: 403 }
- ${to('v1')}`,
    steps: [
      { call: { method: '/inmesh.test.Other/Say' }, expect: { code: 'UNAVAILABLE', attempts: 0 } },
      {
        call: { method: '/inmesh.test.Other/Echo' },
        expect: { code: 'PERMISSION_DENIED', attempts: 0 },
        differs: otherClients('A28: the action must be route; with any other the call fails, whatever status the route has', {
          code: 'UNAVAILABLE',
          attempts: 0,
        }),
      },
      leads('v1'),
    ],
  },
  {
    name: 'one header, one endpoint, by a ring',
    trafficPolicy: '{ loadBalancer: { consistentHash: { httpHeaderName: x-user, ringHash: { minimumRingSize: 1024 } } } }',
    steps: [
      { call: { metadata: { 'x-user': 'alice' } }, times: 30, expect: { oneVersion: true } },
      { call: { metadata: { 'x-user': 'user-#' } }, times: 90, expect: { minVersions: 3 } },
    ],
  },
  {
    name: 'one header, one endpoint, by a table',
    trafficPolicy: '{ loadBalancer: { consistentHash: { httpHeaderName: x-user, maglev: { tableSize: 1021 } } } }',
    steps: [
      { call: { metadata: { 'x-user': 'alice' } }, times: 30, expect: { oneVersion: true } },
      { call: { metadata: { 'x-user': 'user-#' } }, times: 90, expect: { minVersions: 3 } },
    ],
  },
  {
    name: 'least request passes over who is slow',
    trafficPolicy: '{ loadBalancer: { simple: LEAST_REQUEST } }',
    endpoints: [{ version: 'v1' }, { version: 'v2' }],
    steps: [
      {
        call: { metadata: { 'x-delay-ms': '50', 'x-delay-by': 'v1' } },
        times: 300,
        parallel: 8,
        expect: { atMost: { v1: 0.35 } },
        differs: {
          grpcio: {
            because: 'A48: not in C-core, which takes the next of the list (A52), round robin',
            expect: { shares: { v1: 0.5, v2: 0.5 } },
          },
        },
      },
    ],
  },
  {
    name: 'a route that changes while calls run',
    http: `- ${to('v1')}`,
    steps: [
      { times: 5, expect: { version: 'v1' } },
      {
        call: { metadata: { 'x-delay-ms': '20' } },
        times: 40,
        parallel: 4,
        meanwhile: { http: `- ${to('v2')}` },
        expect: {},
        differs: {
          'grpc-go': {
            because:
              'A31: the balancer hears of a new cluster before calls are sent there; grpc-go has it the other way round for an instant',
            expect: { tolerates: 'UNAVAILABLE' },
          },
        },
      },
      { until: { version: 'v2' }, times: 20, expect: { version: 'v2' } },
    ],
  },
]
