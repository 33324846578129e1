import { graphql } from 'relay-runtime';

// A page that reads on, forwards.
export const query = graphql`
  query ServicesPageQuery($owner: String) {
    ...ServicesPage_services @arguments(owner: $owner)
    viewer {
      actor {
        display
      }
    }
  }
`;

export const fragment = graphql`
  fragment ServicesPage_services on Query
  @refetchable(queryName: "ServicesPagePaginationQuery")
  @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "Cursor" }, owner: { type: "String" }) {
    services(filter: { owner: $owner }, first: $first, after: $after) @connection(key: "ServicesPage_services", filters: ["filter"]) {
      totalCount
      position
      edges {
        node {
          id
          name
          ...ServiceCard_service
        }
      }
    }
  }
`;
