import { otherClients } from './other-clients.ts'
import type { CaseCall, CaseStep, Expected, StatusName, XdsClientCase } from './xds-client-case.ts'

const to = (version: string) => `route: [{ destination: { host: HOST, subset: ${version} } }]`
const retried = (settings: string) => `- retries: { ${settings} }\n  ${to('v1')}`
const aborted = (settings: string) => `- fault: { abort: { ${settings} } }\n  ${to('v1')}`
const answered = (code: StatusName, times?: number): CaseCall => ({
  metadata: { 'x-answer': code, ...(times === undefined ? {} : { 'x-answer-times': String(times) }) },
})
const slow = (delayMs: number, deadlineMs = 10_000): CaseCall => ({ metadata: { 'x-delay-ms': String(delayMs) }, deadlineMs })
const succeedsAfter = (code: StatusName, times: number): CaseStep => ({
  call: answered(code, times),
  expect: { version: 'v1', attempts: times + 1 },
})
const localities = (setting: string) =>
  `{ outlierDetection: { consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 100 }, loadBalancer: { localityLbSetting: { enabled: true${setting} } } }`

const wholeCall: Expected = { version: 'v1', attempts: 1, minElapsedMs: 690 }
const earlyTimeout =
  'no rule: C-core ends a timeout of the configuration up to 2 s early on some virtual machines, without xDS too'
const earlier: Expected = { code: 'DEADLINE_EXCEEDED', maxElapsedMs: 6000 }

/** What becomes of calls that fail, are slow, or whose endpoints go. */
export const failureCases: readonly XdsClientCase[] = [
  {
    name: 'a retry until it succeeds tells how many went before',
    http: retried('attempts: 3, retryOn: unavailable, backoff: 10ms'),
    steps: [{ call: answered('UNAVAILABLE', 2), expect: { version: 'v1', previousAttempts: ['', '1', '2'] } }],
  },
  {
    name: 'retries that are used up give the last status',
    http: retried('attempts: 2, retryOn: unavailable, backoff: 10ms'),
    steps: [{ call: answered('UNAVAILABLE'), expect: { code: 'UNAVAILABLE', version: 'v1', attempts: 3 } }],
  },
  {
    name: 'no retry of a status that is not named',
    http: retried('attempts: 3, retryOn: unavailable, backoff: 10ms'),
    steps: [
      { call: answered('INVALID_ARGUMENT'), expect: { code: 'INVALID_ARGUMENT', version: 'v1', attempts: 1 } },
      { call: answered('INTERNAL'), expect: { code: 'INTERNAL', version: 'v1', attempts: 1 } },
    ],
  },
  {
    name: 'every status that can be named is retried',
    http: retried('attempts: 1, retryOn: "cancelled,deadline-exceeded,internal,resource-exhausted", backoff: 10ms'),
    steps: [
      succeedsAfter('CANCELLED', 1),
      succeedsAfter('DEADLINE_EXCEEDED', 1),
      succeedsAfter('INTERNAL', 1),
      succeedsAfter('RESOURCE_EXHAUSTED', 1),
      { call: answered('UNAVAILABLE'), expect: { code: 'UNAVAILABLE', attempts: 1 } },
    ],
  },
  {
    name: 'conditions of HTTP do not concern a gRPC status',
    http: retried('attempts: 2, retryOn: "5xx,reset", backoff: 10ms'),
    steps: [{ call: answered('UNAVAILABLE'), expect: { code: 'UNAVAILABLE', attempts: 1 } }],
  },
  {
    name: 'the default retries',
    http: `- ${to('v1')}`,
    steps: [succeedsAfter('UNAVAILABLE', 2), { call: answered('INTERNAL'), expect: { code: 'INTERNAL', attempts: 1 } }],
  },
  {
    name: 'no retries',
    http: retried('attempts: 0'),
    steps: [{ call: answered('UNAVAILABLE'), expect: { code: 'UNAVAILABLE', attempts: 1 } }],
  },
  {
    name: 'many retries',
    http: retried('attempts: 8, retryOn: unavailable, backoff: 10ms'),
    steps: [
      {
        call: answered('UNAVAILABLE'),
        expect: { code: 'UNAVAILABLE', attempts: 9 },
        differs: {
          grpcio: {
            because: 'A6: more than 5 attempts are 5; A44 and Envoy have no limit',
            expect: { code: 'UNAVAILABLE', attempts: 5 },
          },
        },
      },
    ],
  },
  {
    name: 'a retry stays in the cluster that the split chose',
    http: `- retries: { attempts: 3, retryOn: unavailable, backoff: 10ms }
  route:
  - { destination: { host: HOST, subset: v1 }, weight: 50 }
  - { destination: { host: HOST, subset: v2 }, weight: 50 }`,
    steps: [
      {
        call: answered('UNAVAILABLE', 3),
        times: 40,
        expect: { attempts: 4, oneVersionOfCall: true, shares: { v1: 0.5, v2: 0.5 } },
      },
    ],
  },
  {
    name: 'a timeout for each try',
    http: retried('attempts: 1, perTryTimeout: 0.2s, retryOn: "deadline-exceeded,5xx", backoff: 10ms'),
    steps: [
      {
        call: slow(700),
        expect: { code: 'DEADLINE_EXCEEDED', attempts: 2 },
        differs: otherClients('A44: per_try_timeout is not supported', wholeCall),
      },
    ],
  },
  {
    name: 'a timeout of the route',
    http: `- timeout: 4s\n  ${to('v1')}`,
    steps: [
      {
        call: slow(9000, 20_000),
        expect: { code: 'DEADLINE_EXCEEDED', attempts: 1, minElapsedMs: 3900, maxElapsedMs: 6000 },
        differs: { grpcio: { because: earlyTimeout, expect: earlier } },
      },
      { call: slow(9000, 100), expect: { code: 'DEADLINE_EXCEEDED', attempts: 1, maxElapsedMs: 1500 } },
      { call: slow(10), expect: { version: 'v1' } },
    ],
  },
  {
    name: 'the timeout of the route is that of all attempts',
    http: `- timeout: 4s\n  retries: { attempts: 4, retryOn: unavailable, backoff: 10ms }\n  ${to('v1')}`,
    steps: [
      {
        call: { metadata: { 'x-answer': 'UNAVAILABLE', 'x-delay-ms': '1500' }, deadlineMs: 20_000 },
        expect: { code: 'DEADLINE_EXCEEDED', attempts: 3, minElapsedMs: 3900, maxElapsedMs: 6000 },
        differs: { grpcio: { because: earlyTimeout, expect: earlier } },
      },
    ],
  },
  { name: 'no timeout but the own', http: `- ${to('v1')}`, steps: [{ call: slow(400), expect: { version: 'v1' } }] },
  {
    name: 'an abort of every call',
    http: aborted('grpcStatus: PERMISSION_DENIED, percentage: { value: 100 }'),
    steps: [{ times: 5, expect: { code: 'PERMISSION_DENIED', attempts: 0 } }],
  },
  {
    name: 'an abort of every other call',
    http: aborted('grpcStatus: ABORTED, percentage: { value: 50 }'),
    steps: [{ times: 300, expect: { codes: { ABORTED: 0.5, OK: 0.5 } } }],
  },
  {
    name: 'an abort of nobody',
    http: aborted('grpcStatus: ABORTED, percentage: { value: 0 }'),
    steps: [{ times: 5, expect: { version: 'v1' } }],
  },
  {
    name: 'an abort is not retried',
    http: `- fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 100 } } }
  retries: { attempts: 3, retryOn: unavailable, backoff: 200ms }\n  ${to('v1')}`,
    steps: [{ times: 3, expect: { code: 'UNAVAILABLE', attempts: 0 } }],
  },
  {
    name: 'an abort by an HTTP status',
    http: `- match: [{ uri: { exact: /inmesh.test.Other/Say } }]
  fault: { abort: { httpStatus: 404, percentage: { value: 100 } } }\n  ${to('v1')}
- match: [{ uri: { exact: /inmesh.test.Other/Echo } }]
  fault: { abort: { httpStatus: 401, percentage: { value: 100 } } }\n  ${to('v1')}
${aborted('httpStatus: 503, percentage: { value: 100 }')}`,
    steps: [
      { expect: { code: 'UNAVAILABLE', attempts: 0 } },
      { call: { method: '/inmesh.test.Other/Say' }, expect: { code: 'UNIMPLEMENTED', attempts: 0 } },
      { call: { method: '/inmesh.test.Other/Echo' }, expect: { code: 'UNAUTHENTICATED', attempts: 0 } },
    ],
  },
  {
    name: 'a delay',
    http: `- fault: { delay: { fixedDelay: 0.4s, percentage: { value: 100 } } }\n  ${to('v1')}`,
    steps: [
      { expect: { version: 'v1', minElapsedMs: 390 } },
      { call: { deadlineMs: 150 }, expect: { code: 'DEADLINE_EXCEEDED', attempts: 0, maxElapsedMs: 390 } },
    ],
  },
  {
    name: 'no more calls at once than allowed',
    trafficPolicy: '{ connectionPool: { http: { http2MaxRequests: 1 } } }',
    steps: [
      { expect: {} },
      { call: slow(700), times: 4, parallel: 4, expect: { counts: { OK: 1, UNAVAILABLE: 3 } } },
      { expect: {} },
    ],
  },
  {
    name: 'an endpoint that nobody listens on',
    trafficPolicy: '{ loadBalancer: { simple: ROUND_ROBIN } }',
    endpoints: [{ version: 'v1', isDead: true }, { version: 'v2' }],
    steps: [{ times: 40, expect: { version: 'v2' } }],
  },
  {
    name: 'nobody listens',
    endpoints: [{ version: 'v1', isDead: true }],
    steps: [{ times: 3, expect: { code: 'UNAVAILABLE', attempts: 0 } }],
  },
  {
    name: 'an endpoint that is killed, between calls',
    trafficPolicy: '{ loadBalancer: { simple: ROUND_ROBIN } }',
    steps: [
      { times: 30, expect: { minVersions: 3 } },
      { change: { kill: 'v1' }, times: 80, parallel: 4, expect: { shares: { v1: 0 }, minVersions: 2 } },
    ],
  },
  {
    name: 'an endpoint that is killed, with calls in it',
    trafficPolicy: '{ loadBalancer: { simple: ROUND_ROBIN } }',
    endpoints: [{ version: 'v1' }, { version: 'v2' }],
    steps: [
      { times: 10, expect: { minVersions: 2 } },
      {
        call: { metadata: { 'x-delay-ms': '1000', 'x-delay-by': 'v1' } },
        times: 16,
        parallel: 8,
        meanwhile: { kill: 'v1' },
        expect: { version: 'v2' },
      },
    ],
  },
  {
    name: 'an endpoint that is removed, with calls in it',
    http: `- ${'route: [{ destination: { host: HOST } }]'}`,
    trafficPolicy: '{ loadBalancer: { simple: ROUND_ROBIN } }',
    steps: [
      { times: 12, expect: { minVersions: 3 } },
      { call: slow(500), times: 12, parallel: 12, meanwhile: { remove: 'v1' }, expect: { minVersions: 3, attempts: 1 } },
      {
        change: { http: `${aborted('grpcStatus: ABORTED, percentage: { value: 100 }')}` },
        until: { code: 'ABORTED' },
        expect: { code: 'ABORTED' },
      },
      {
        change: { http: '- route: [{ destination: { host: HOST } }]' },
        until: { code: 'OK' },
        times: 40,
        expect: { shares: { v1: 0 }, minVersions: 2 },
      },
    ],
  },
  {
    name: 'from a dead locality to another',
    trafficPolicy: localities(''),
    endpoints: [
      { version: 'v1', locality: 'near/a', isDead: true },
      { version: 'v2', locality: 'far/b' },
    ],
    steps: [{ times: 20, expect: { version: 'v2' } }],
  },
  {
    name: 'the nearest locality, until it dies',
    trafficPolicy: localities(''),
    endpoints: [
      { version: 'v1', locality: 'near/a' },
      { version: 'v2', locality: 'near/b' },
      { version: 'v3', locality: 'far/b' },
    ],
    steps: [
      { times: 20, expect: { version: 'v1' } },
      { change: { kill: 'v1' }, times: 20, expect: { version: 'v2' } },
      { change: { kill: 'v2' }, times: 20, expect: { version: 'v3' } },
    ],
  },
  {
    name: 'to the region that a rule of failover names',
    trafficPolicy: localities(', failover: [{ from: near, to: chosen }]'),
    endpoints: [
      { version: 'v1', locality: 'near/a', isDead: true },
      { version: 'v2', locality: 'far/b' },
      { version: 'v3', locality: 'chosen/c' },
    ],
    steps: [{ times: 20, expect: { version: 'v3' } }],
  },
  {
    name: 'a share for each locality',
    trafficPolicy:
      '{ loadBalancer: { localityLbSetting: { enabled: true, distribute: [{ from: near/*, to: { "near/*": 80, "far/*": 20 } }] } } }',
    endpoints: [
      { version: 'v1', locality: 'near/a' },
      { version: 'v2', locality: 'far/b' },
    ],
    steps: [{ times: 300, expect: { shares: { v1: 0.8, v2: 0.2 } } }],
  },
]
