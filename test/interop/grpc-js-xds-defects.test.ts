// The defects found in @grpc/grpc-js-xds: the package and this client side by side on one control plane, and what each does.
import { describe, test } from 'node:test'
import { defects } from './grpc-js-xds/defects.ts'

// Most of the time goes by in waits of 15 s, which several can share.
describe('where grpc-js-xds goes wrong', { concurrency: 4 }, () => {
  for (const { number, theirs, ours, run } of defects) test(`defect ${number}: ${theirs}; here: ${ours}`, run)
})
