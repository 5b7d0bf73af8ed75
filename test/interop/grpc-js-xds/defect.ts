import type { TestContext } from 'node:test'

/** A defect of `@grpc/grpc-js-xds`, or a part of one. */
export interface Defect {
  /** From 1; parts of a defect share it. */
  readonly number: number
  /** What happens with `@grpc/grpc-js-xds`, as docs/grpc.md has it. */
  readonly theirs: string
  /** What happens with this client, as docs/grpc.md has it. */
  readonly ours: string
  /** Makes both clients do it, and fails when one does something else. */
  readonly run: (t: TestContext) => Promise<void>
}
