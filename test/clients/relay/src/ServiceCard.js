import { graphql } from 'relay-runtime';

// A card that is fetched again by its id, and reads its history both ways.
export const fragment = graphql`
  fragment ServiceCard_service on Service
  @refetchable(queryName: "ServiceCardRefetchQuery")
  @argumentDefinitions(
    first: { type: "Int" }
    after: { type: "Cursor" }
    last: { type: "Int", defaultValue: 2 }
    before: { type: "Cursor" }
  ) {
    title
    labels
    placements {
      id
      drift
      environment {
        name
        tier
      }
      recorded {
        version {
          name
        }
      }
    }
    deployments(first: $first, after: $after, last: $last, before: $before) @connection(key: "ServiceCard_deployments") {
      edges {
        node {
          ...DeploymentRow_deployment
        }
      }
    }
  }
`;

export const create = graphql`
  mutation ServiceCardCreateMutation($input: CreateServiceInput!, $connections: [ID!]!) {
    createService(input: $input) {
      service @appendNode(connections: $connections, edgeTypeName: "ServiceEdge") {
        id
        name
      }
    }
  }
`;
