import type { CaseStep, Expected } from './xds-client-case.ts'

/** The same difference of every client but ours: what Envoy does and gRPC leaves out. */
export const otherClients = (because: string, expect: Expected): NonNullable<CaseStep['differs']> => ({
  'grpc-go': { because, expect },
  grpcio: { because, expect },
})
