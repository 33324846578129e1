import { graphql } from 'relay-runtime';

// A row that is kept fresh, with a log that is read backwards.
export const fragment = graphql`
  fragment DeploymentRow_deployment on Deployment @refetchable(queryName: "DeploymentRowRefetchQuery") {
    id
    kind
    status
    occurredAt
    actor {
      display
    }
    version {
      name
      ...DeploymentRow_version
    }
  }
`;

export const log = graphql`
  fragment DeploymentRow_log on Deployment
  @refetchable(queryName: "DeploymentRowLogQuery")
  @argumentDefinitions(last: { type: "Int", defaultValue: 100 }, before: { type: "Cursor" }) {
    logs(last: $last, before: $before) @connection(key: "DeploymentRow_logs") {
      edges {
        node {
          cursor
          text
        }
      }
    }
  }
`;

export const version = graphql`
  fragment DeploymentRow_version on Version {
    buildUrl
    images {
      reference
      digest
    }
  }
`;

export const node = graphql`
  query DeploymentRowNodeQuery($id: ID!) {
    node(id: $id) {
      ...DeploymentRow_deployment @alias
      ...DeploymentRow_log @alias
    }
  }
`;

export const changes = graphql`
  subscription DeploymentRowSubscription($service: ID, $after: Cursor) {
    deploymentChanged(filter: { service: $service }, after: $after) {
      cursor
      change
      deployment {
        ...DeploymentRow_deployment
      }
    }
  }
`;
